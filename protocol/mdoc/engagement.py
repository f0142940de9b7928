"""DeviceEngagement (ISO/IEC 18013-5 clause 8.2.1.1): what the mdoc says about itself before the session begins.

The raw bytes are kept and used as received, because SessionTranscript covers them and wallets encode differently. Apple
sends version 1.1 with keys 5 and 6, which are unknown here and accepted.
"""

from protocol import cbor, cose
from protocol.crypto import AGREEMENT_CURVES
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CIPHER_SUITE_1 = 1
"""The one cipher suite that clause 9.1.5.2 defines."""

METHOD_NFC = 1
METHOD_BLE = 2


class Nfc:
    """NFC data retrieval: the maximum number of data bytes in a command to the mdoc, and in a response from the
    mdoc."""

    def __init__(self, max_command: int, max_response: int) -> None:
        self.max_command = max_command
        self.max_response = max_response


class Ble:
    """BLE data retrieval. UUIDs are 16 bytes, big-endian. A UUID that the mdoc did not give is None.

    `central` says whether the mdoc can be the central. The reader is then the GATT server, with `central_uuid` as its
    service. `peripheral` says whether the mdoc can be the GATT server, with `peripheral_uuid` as its service.
    """

    def __init__(
        self,
        central: bool,
        peripheral: bool,
        central_uuid: "bytes | None" = None,
        peripheral_uuid: "bytes | None" = None,
        address: "bytes | None" = None,
    ) -> None:
        self.central = central
        self.peripheral = peripheral
        self.central_uuid = central_uuid
        self.peripheral_uuid = peripheral_uuid
        self.address = address


class DeviceEngagement:
    """A parsed DeviceEngagement.

    `raw` is the engagement as received. `e_device_key_bytes` are the tagged EDeviceKeyBytes as received. `curve` and
    `public` are the key in these bytes. `nfc` and `ble` are the methods that key 2 (DeviceRetrievalMethods) offers, or
    None.
    """

    def __init__(
        self,
        raw: bytes,
        version: str,
        key: cbor.Encoded,
        curve: str,
        public: bytes,
        nfc: "Nfc | None",
        ble: "Ble | None",
    ) -> None:
        self.raw = raw
        self.version = version
        self.e_device_key_bytes = key.raw
        self.curve = curve
        self.public = public
        self.nfc = nfc
        self.ble = ble

    @property
    def tagged(self) -> bytes:
        """Return DeviceEngagementBytes: `raw` in tag 24, as SessionTranscript holds it."""
        return cbor.wrap(self.raw).raw


def parse_device_engagement(raw: bytes) -> DeviceEngagement:
    """Return `raw` (the untagged map) as a DeviceEngagement.

    Raises FormatError: `cbor.*` for malformed CBOR, `cose.key` for a key we cannot use, `engagement.version` for an
    unknown version, `engagement.suite` for an unknown cipher suite, `engagement.form` for any other wrong form.
    """
    item = cbor.decode(raw)
    if not isinstance(item, dict):
        raise _form("not a map")
    version = item.get(0)
    if not isinstance(version, str) or not version.startswith("1."):
        raise FormatError("engagement.version", "only versions 1.x are known")
    security = item.get(1)
    if not isinstance(security, list) or len(security) < 2:
        raise _form("no security element")
    if security[0] != CIPHER_SUITE_1 or isinstance(security[0], bool):
        raise FormatError("engagement.suite", "only cipher suite 1 is known")
    key = security[1]
    if not isinstance(key, cbor.Encoded):
        raise _form("EDeviceKeyBytes must be a tagged byte string")
    curve, public = cose.parse_key(key.decode())
    if curve not in AGREEMENT_CURVES:
        raise FormatError("cose.key", "sessions on the curve of this key are not supported")
    nfc, ble = _methods(item.get(2))
    return DeviceEngagement(raw, version, key, curve, public, nfc, ble)


def _form(why: str) -> FormatError:
    return FormatError("engagement.form", why)


def _methods(methods: "Any") -> "tuple[Nfc | None, Ble | None]":
    """Read key 2. Unknown methods, versions and options are ignored, because the standard reserves them."""
    if methods is None:
        return None, None
    if not isinstance(methods, list):
        raise _form("DeviceRetrievalMethods is not an array")
    nfc = ble = None
    for method in methods:
        if not isinstance(method, list) or len(method) < 2:
            raise _form("a DeviceRetrievalMethod of the wrong shape")
        if method[0] not in (METHOD_NFC, METHOD_BLE) or method[1] != 1:
            continue
        if len(method) < 3 or not isinstance(method[2], dict):
            raise _form("a DeviceRetrievalMethod of the wrong shape")
        options = method[2]
        if method[0] == METHOD_NFC:
            nfc = Nfc(_number(options.get(0)), _number(options.get(1)))
        elif method[0] == METHOD_BLE:
            ble = Ble(
                options.get(1) is True,
                options.get(0) is True,
                _octets(options.get(11), 16),
                _octets(options.get(10), 16),
                _octets(options.get(20), 6),
            )
    return nfc, ble


def _number(value: "Any") -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _form("a length that is not a positive number")
    return value


def _octets(value: "Any", length: int) -> "bytes | None":
    if value is not None and (not isinstance(value, bytes) or len(value) != length):
        raise _form("an address or UUID of the wrong length")
    return value
