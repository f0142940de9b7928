"""BLE data retrieval (ISO/IEC 18013-5 clause 8.3.3.1.1): UUIDs, advertisements, State, Ident and parts. Sans-IO.

Two modes. In *mdoc central client mode* the mdoc connects, and the reader is the GATT server with the characteristics
of `READER_*`; in *mdoc peripheral server mode* it is the other way round, with `MDOC_*`. The service has a UUID of its
own for each transaction, which the handover told. Messages are cut into parts, each one ATT value: a first byte that
says whether more follow, then a slice of the message.
"""

from protocol import const
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

_SUFFIX = "-a123-48ce-896b-4c76973373e6"

READER_STATE = "00000005" + _SUFFIX
READER_CLIENT2SERVER = "00000006" + _SUFFIX
READER_SERVER2CLIENT = "00000007" + _SUFFIX
READER_IDENT = "00000008" + _SUFFIX
"""Of the reader's service, tables 11 and 12. Ident lets the mdoc see that it is connected to the reader it met."""

MDOC_STATE = "00000001" + _SUFFIX
MDOC_CLIENT2SERVER = "00000002" + _SUFFIX
MDOC_SERVER2CLIENT = "00000003" + _SUFFIX
"""Of the mdoc's service; it has no Ident."""

START = b"\x01"
"""State: the client is ready, the session may begin."""
END = b"\x02"
"""State: the session is over. Either side may say so at any time."""

PREFERRED_MTU = 515
"""Room for the longest part: 512 bytes, the longest attribute value, and the three of ATT."""
SMALLEST_MTU = 23
LONGEST_PART = 512
_PACKET = const(251)
"""Longest packet of the link layer, once its length has been extended (Core, Vol 6, Part B, 2.4)."""
_HEADERS = const(7)  # of L2CAP, four bytes, and of ATT, three

READER_ROLE = 0x02
"""LE role in our Handover Request: peripheral or central, peripheral preferred (Core Supplement part A, 1.17)."""

_MORE = const(1)
_LAST = const(0)
_FLAGS = b"\x02\x01\x06"  # general discoverable, no BR/EDR
_AD_UUID128 = 0x06, 0x07


def ident(crypto: "Crypto", e_device_key_bytes: bytes) -> bytes:
    """The 16 bytes of Ident, from EDeviceKeyBytes as the mdoc sent them, tag 24 included."""
    return crypto.hkdf_expand(crypto.hkdf_extract(b"", e_device_key_bytes), b"BLEIdent", 16)


def new_uuid(random: bytes) -> bytes:
    """A version 4 UUID, big-endian, of 16 random bytes: a service is named anew for each transaction."""
    uuid = bytearray(random)
    uuid[6] = uuid[6] & 0x0F | 0x40
    uuid[8] = uuid[8] & 0x3F | 0x80
    return bytes(uuid)


def part_size(mtu: int) -> int:
    """Best part, in bytes, for an ATT MTU of `mtu`: the longest that fills its packets.

    A few bytes more than fill a packet would cost another one: at MTU 515 each part would take three instead of two.
    """
    longest = min(max(mtu, SMALLEST_MTU) - 3, LONGEST_PART)
    packets = (longest + _HEADERS) // _PACKET
    return packets * _PACKET - _HEADERS if packets else longest


class Parts:
    """Iterates over the parts of `message`, at least one byte, for an ATT MTU of `mtu`."""

    def __init__(self, message: bytes, mtu: int) -> None:
        if not message:
            raise FormatError("ble.empty", "an empty message has no parts")
        self._message = memoryview(message)
        self._step = part_size(mtu) - 1
        self._at = 0

    def __iter__(self) -> "Parts":
        return self

    def __next__(self) -> bytes:
        at = self._at
        if at >= len(self._message):
            raise StopIteration
        self._at = at + self._step
        more = _MORE if self._at < len(self._message) else _LAST
        return bytes((more,)) + bytes(self._message[at : self._at])


class Assembler:
    """Puts the parts of one direction together; never holds more than `limit` bytes. Empty again after an error."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts = bytearray()

    def push(self, part: bytes) -> "bytes | None":
        """Take one part; the message if it was the last one, else None.

        Raises FormatError: `ble.part` (nothing in it, or an unknown first byte), `ble.too_long`.
        """
        if not part or part[0] > _MORE or (len(part) == 1 and (part[0] == _MORE or not self._parts)):
            self._parts = bytearray()
            raise FormatError("ble.part", "a part is a first byte of 0 or 1 and some of the message")
        if len(self._parts) + len(part) - 1 > self._limit:
            self._parts = bytearray()
            raise FormatError("ble.too_long", "the message exceeds its limit")
        self._parts.extend(memoryview(part)[1:])
        if part[0] == _MORE:
            return None
        message = bytes(self._parts)
        self._parts = bytearray()
        return message


def advertisement(service: bytes) -> bytes:
    """Advertising data for the service with this UUID (16 bytes, big-endian)."""
    return _FLAGS + b"\x11\x07" + bytes(reversed(service))


def advertises(data: "bytes | memoryview", service: bytes) -> bool:
    """Does this advertising data name the service with this UUID (16 bytes, big-endian)? Garbage names none."""
    wanted = bytes(reversed(service))
    at = 0
    while at + 1 < len(data):
        end = at + 1 + data[at]
        if end == at + 1 or end > len(data):
            return False
        if data[at + 1] in _AD_UUID128:
            for start in range(at + 2, end - 15, 16):
                if data[start : start + 16] == wanted:
                    return True
        at = end
    return False


def uuid_text(uuid: bytes) -> str:
    """A UUID of 16 bytes, big-endian, as `bluetooth.UUID` takes it."""
    digits = uuid.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
