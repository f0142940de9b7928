"""Cuts a message into blocks for a hash function, and adds the padding of FIPS 180-4, section 5.1.

SHA-384, SHA-512 and SM3 use this padding. These hash functions differ in the size of a block, and in the size of the
field for the message's length.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def absorb_padded(
    absorb: "Callable[[bytearray | memoryview, int], None]", pieces: "tuple[bytes, ...]", size: int, counter: int
) -> None:
    """Pass the pieces of a message, and then its padding, to `absorb(data, blocks)`. That function takes the first
    `blocks` blocks of `data`. A block has `size` bytes. The field for the message's length in bits has `counter` bytes.
    """
    rest, held, total = bytearray(size), 0, 0
    for piece in pieces:
        view, at = memoryview(piece), 0
        total += len(view)
        if held:
            at = min(size - held, len(view))
            rest[held : held + at] = view[:at]
            held += at
            if held < size:
                continue
            absorb(rest, 1)
        whole = (len(view) - at) // size
        if whole:
            absorb(view[at:], whole)
            at += whole * size
        held = len(view) - at
        rest[:held] = view[at:]
    rest[held] = 0x80
    if held >= size - counter:
        rest[held + 1 :] = bytes(size - held - 1)
        absorb(rest, 1)
        held = -1
    rest[held + 1 : size - 8] = bytes(size - 8 - held - 1)
    rest[size - 8 :] = (8 * total).to_bytes(8, "big")
    absorb(rest, 1)
