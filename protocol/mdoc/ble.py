"""BLE data retrieval (ISO/IEC 18013-5 clause 8.3.3.1.1): UUIDs, advertisements, State and Ident. Sans-IO.

There are two modes. In *mdoc central client mode*, the mdoc connects, and the reader is the GATT server with the
characteristics `READER_*`. In *mdoc peripheral server mode*, the reader connects, and the mdoc is the GATT server with
`MDOC_*`. Each transaction has a new service UUID, which the handover states. Messages travel in `protocol.parts`.
"""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

_SUFFIX = const("-a123-48ce-896b-4c76973373e6")

READER_STATE = "00000005" + _SUFFIX
READER_CLIENT2SERVER = "00000006" + _SUFFIX
READER_SERVER2CLIENT = "00000007" + _SUFFIX
READER_IDENT = "00000008" + _SUFFIX
"""Characteristics of the reader's service, tables 11 and 12. Ident lets the mdoc recognise the reader with which it
made the handover."""

ANCHOR = "4d6f6f72-696e-672d-8a00-000000000010"
"""Our own UUID. This is the UUID of a service. No phone looks for this service. The only characteristic of this service
has the same UUID.
"""

MDOC_STATE = "00000001" + _SUFFIX
MDOC_CLIENT2SERVER = "00000002" + _SUFFIX
MDOC_SERVER2CLIENT = "00000003" + _SUFFIX
"""Characteristics of the mdoc's service. This service has no Ident."""

START = b"\x01"
"""Value of State: the client is ready and the session may begin."""
END = b"\x02"
"""Value of State: the session is over. Either side may send this value at any time."""

READER_ROLE = 0x02
"""LE role in our Handover Request: peripheral or central, peripheral preferred (Core Supplement part A, 1.17)."""

_FLAGS = const(b"\x02\x01\x06")  # general discoverable, no BR/EDR
_AD_UUID128 = 0x06, 0x07


def ident(crypto: "Crypto", e_device_key_bytes: bytes) -> bytes:
    """Return the 16 bytes of Ident, from EDeviceKeyBytes as the mdoc sent them, tag 24 included."""
    return crypto.hkdf_expand(crypto.hkdf_extract(b"", e_device_key_bytes), b"BLEIdent", 16)


def new_uuid(random: bytes) -> bytes:
    """Make a version 4 UUID, big-endian, from 16 random bytes. Each transaction has a new service UUID."""
    uuid = bytearray(random)
    uuid[6] = uuid[6] & 0x0F | 0x40
    uuid[8] = uuid[8] & 0x3F | 0x80
    return bytes(uuid)


def advertisement(service: bytes) -> bytes:
    """Return the advertising data for the service with this UUID (16 bytes, big-endian)."""
    return _FLAGS + b"\x11\x07" + bytes(reversed(service))


def advertises(data: "bytes | memoryview", service: bytes) -> bool:
    """Is the service `service` (a big-endian UUID) in this advertising data? Malformed data contains no service."""
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
    """Return a UUID of 16 bytes, big-endian, as `bluetooth.UUID` takes it."""
    digits = uuid.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
