"""The phone's first messages: a DeviceEngagement with a fresh key, and a static or negotiated handover."""

import uuid as uuid_module
from dataclasses import dataclass
from typing import Any, Literal

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

Mode = Literal["central", "peripheral"]
"""The phone's role: "central" is mdoc central client mode, "peripheral" is mdoc peripheral server mode."""

Version = Literal["1.0", "1.1"]

LE_ROLES: dict[frozenset[Mode], int] = {
    frozenset({"peripheral"}): 0,
    frozenset({"central"}): 1,
    frozenset({"central", "peripheral"}): 3,
}
_SERVICE = b"urn:nfc:sn:handover"


@dataclass(frozen=True)
class BleOffer:
    """BLE retrieval as offered in a handover: the modes and the service's UUID.

    If the UUID is None, the phone takes the reader's UUID.
    """

    modes: frozenset[Mode]
    uuid: uuid_module.UUID | None

    @property
    def mode(self) -> Mode:
        """Return the mode that a reader should choose: "central" if the phone offers it, else "peripheral"."""
        return "central" if "central" in self.modes else "peripheral"


def cose_key(public: ec.EllipticCurvePublicKey) -> dict[int, object]:
    """Return an EC2 COSE_Key."""
    numbers = public.public_numbers()
    size = (public.curve.key_size + 7) // 8
    curve = 2 if isinstance(public.curve, ec.SECP384R1) else 1
    return {1: 2, -1: curve, -2: numbers.x.to_bytes(size, "big"), -3: numbers.y.to_bytes(size, "big")}


def load_cose_key(key: dict[int, object]) -> ec.EllipticCurvePublicKey:
    """Return the public key in an EC2 COSE_Key. Raises ValueError, KeyError or TypeError for anything else."""
    curve: ec.EllipticCurve = {1: ec.SECP256R1(), 2: ec.SECP384R1()}[key[-1]]  # type: ignore[index]  # a foreign key
    x, y = key[-2], key[-3]
    if key[1] != 2 or not isinstance(x, bytes) or not isinstance(y, bytes):
        raise ValueError("not an EC2 key")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()


def device_engagement(public: ec.EllipticCurvePublicKey, version: Version = "1.0") -> bytes:
    """Return a DeviceEngagement for NFC. The carriers are in the handover message, not here.

    Version 1.1 has two more elements, OriginInfos and Capabilities, and they come before the version and the security.
    """
    said: dict[int, Any] = {0: version, 1: [1, cbor2.CBORTag(24, cbor2.dumps(cose_key(public)))]}
    if version == "1.1":
        said = {5: [], 6: {2: True, 3: True}, **said}
    return cbor2.dumps(said)


def e_device_key_bytes(public: ec.EllipticCurvePublicKey) -> bytes:
    """Return EDeviceKeyBytes, as they are in `device_engagement`."""
    return cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(cose_key(public))))


def _record(tnf: int, kind: bytes, identifier: bytes, payload: bytes) -> bytes:
    head = bytes((tnf | 0x10 | (0x08 if identifier else 0), len(kind), len(payload)))
    return head + (bytes((len(identifier),)) if identifier else b"") + kind + identifier + payload


def _message(*records: bytes) -> bytes:
    """Return an NDEF message of these records. Flags mark the first record and the last record."""
    marked = [bytearray(record) for record in records]
    marked[0][0] |= 0x80
    marked[-1][0] |= 0x40
    return b"".join(marked)


def handover_select(
    engagement: bytes, max_command: int, max_response: int, nfc: bool = True, ble: BleOffer | None = None
) -> bytes:
    """Return a Handover Select that offers NFC retrieval with these lengths, or BLE, or both."""
    carriers, records = [], []
    if ble is not None:
        carriers.append(_record(1, b"ac", b"", b"\x01\x010\x01\x04mdoc"))
        oob = bytes((2, 0x1C, LE_ROLES[ble.modes]))
        if ble.uuid is not None:
            oob += b"\x11\x07" + ble.uuid.bytes[::-1]
        records.append(_record(2, b"application/vnd.bluetooth.le.oob", b"0", oob))
    if nfc:
        carriers.append(_record(1, b"ac", b"", b"\x01\x03nfc\x01\x04mdoc"))
        lengths = b"\x03\x01" + max_command.to_bytes(2, "big") + b"\x04\x02" + max_response.to_bytes(3, "big")
        records.append(_record(4, b"iso.org:18013:nfc", b"nfc", b"\x01" + lengths))
    return _message(
        _record(1, b"Hs", b"", b"\x15" + (_message(*carriers) if carriers else b"")),
        _record(4, b"iso.org:18013:deviceengagement", b"mdoc", engagement),
        *records,
    )


SERVICE_PARAMETER = _message(
    _record(1, b"Tp", b"", b"\x10" + bytes((len(_SERVICE),)) + _SERVICE + b"\x00\x08\x0f\xff\xff")
)
"""First message of a phone that negotiates. The message says that the phone has the handover service and answers within
2 ms.
"""
SERVICE_SELECT = _message(_record(1, b"Ts", b"", bytes((len(_SERVICE),)) + _SERVICE))
SERVICE_GRANTED = _message(_record(1, b"Te", b"", b"\x00"))


def requested_uuid(handover_request: bytes) -> uuid_module.UUID | None:
    """Return the UUID in the BLE record of a reader's Handover Request, or None without such a record."""
    mark = b"application/vnd.bluetooth.le.oob0"
    at = handover_request.find(mark)
    found = handover_request.find(b"\x11\x07", at) if at >= 0 else -1
    return None if found < 0 else uuid_module.UUID(bytes=handover_request[found + 2 : found + 18][::-1])
