"""The memory for a request to a phone, and then for the phone's response. This memory is allocated at boot, so that
neither needs a long free block in the heap.

A request is encoded, encrypted and sent in place. A message of the phone arrives in pieces, is decrypted in place, and
is read in place. Only one phone is read at a time. The reserved bytes go through these states:

    state       event                                   next state
    free        `room`: a request is about to be made   request
    request     `sent`                                  free
    request     `release`                               free, and wiped
    free        `extend`: a message begins              filling
    filling     `extend`: the message is too long       free: the message moves to the heap
    filling     `drop`                                  free
    filling     `take`: the message is complete         lent, and somebody reads the message
    lent        `release`                               free, and wiped
    any         `reset`                                 free, and wiped

While the bytes are lent or hold a request, a new message goes to the heap. So a phone cannot change a message that was
already checked. While the bytes are not free, a new request goes to the heap.
"""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    Buffer = bytes | bytearray | memoryview

SIZE = 6144
"""Number of reserved bytes. A response without a portrait has about 3,300 bytes. A longer response gets memory from the
heap, and this memory doubles until the response fits."""
_FIRST = const(512)
_ZEROS = bytes(64)


class ResponseBuffer:
    """Holds one request, or collects one message at a time. `len` is the number of bytes of the message that is
    arriving."""

    def __init__(self) -> None:
        self._reserved = self._bytes = bytearray(SIZE)
        self._length = 0
        self._lent = False
        self._request = False

    def __len__(self) -> int:
        return self._length

    def room(self) -> memoryview:
        """Return SIZE bytes for a request. If they are the reserved bytes, they belong to the request until `sent`,
        `release` or `reset`. Raises MemoryError."""
        if self._lent or (self._length and self._bytes is self._reserved):
            return memoryview(bytearray(SIZE))
        self._request = True
        return memoryview(self._reserved)

    def sent(self) -> None:
        """Give the memory of the request to the next message. Nothing may send the request again."""
        self._request = False

    def extend(self, piece: "Buffer") -> None:
        """Add `piece` to the message. The radio's handler may call this method. Raises MemoryError."""
        start = self._length
        end = start + len(piece)
        if end == start:
            return
        if not start:
            self._bytes = bytearray(_FIRST) if self._lent or self._request else self._reserved
        if end > len(self._bytes):
            larger = bytearray(max(end, 2 * len(self._bytes)))
            larger[:start] = memoryview(self._bytes)[:start]
            self._bytes = larger
        memoryview(self._bytes)[start:end] = piece
        self._length = end

    def take(self) -> memoryview:
        """Return the message. The next piece begins another message. If the message is in the reserved bytes, the view
        is good until `release` or `reset`."""
        view = memoryview(self._bytes)[: self._length]
        self._lent = self._lent or self._bytes is self._reserved
        self._length = 0
        return view

    def drop(self) -> None:
        """Forget the message that is arriving."""
        self._length = 0

    def release(self) -> None:
        """Wipe the message that was taken, or the request. A message that is still arriving is kept."""
        if self._lent or self._request:
            self._wipe()
            self._lent = self._request = False

    def reset(self) -> None:
        """Forget and wipe everything. Nothing may be arriving."""
        self._bytes = self._reserved
        self._length = 0
        self._wipe()
        self._lent = self._request = False

    def _wipe(self) -> None:
        reserved = memoryview(self._reserved)
        for start in range(0, SIZE, len(_ZEROS)):
            reserved[start : start + len(_ZEROS)] = _ZEROS
