"""What the phone says first: a DeviceEngagement with a fresh key, inside a static Handover Select."""

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec


def cose_key(public: ec.EllipticCurvePublicKey) -> dict[int, object]:
    """An EC2 COSE_Key."""
    numbers = public.public_numbers()
    size = (public.curve.key_size + 7) // 8
    curve = 2 if isinstance(public.curve, ec.SECP384R1) else 1
    return {1: 2, -1: curve, -2: numbers.x.to_bytes(size, "big"), -3: numbers.y.to_bytes(size, "big")}


def load_cose_key(key: dict[int, object]) -> ec.EllipticCurvePublicKey:
    """The public key in an EC2 COSE_Key. Raises ValueError, KeyError or TypeError for anything else."""
    curve: ec.EllipticCurve = {1: ec.SECP256R1(), 2: ec.SECP384R1()}[key[-1]]  # type: ignore[index]  # a foreign key
    x, y = key[-2], key[-3]
    if key[1] != 2 or not isinstance(x, bytes) or not isinstance(y, bytes):
        raise ValueError("not an EC2 key")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()


def device_engagement(public: ec.EllipticCurvePublicKey) -> bytes:
    """DeviceEngagement for NFC engagement: the carriers are in the handover message, not here."""
    return cbor2.dumps({0: "1.0", 1: [1, cbor2.CBORTag(24, cbor2.dumps(cose_key(public)))]})


def _record(tnf: int, kind: bytes, identifier: bytes, payload: bytes, first: bool, last: bool) -> bytes:
    flags = tnf | 0x10 | (0x80 if first else 0) | (0x40 if last else 0) | (0x08 if identifier else 0)
    head = bytes((flags, len(kind), len(payload)))
    return head + (bytes((len(identifier),)) if identifier else b"") + kind + identifier + payload


def handover_select(engagement: bytes, max_command: int, max_response: int) -> bytes:
    """A static Handover Select that offers NFC retrieval with these lengths."""
    carrier = _record(1, b"ac", b"", b"\x01\x03nfc\x01\x04mdoc", True, True)
    lengths = b"\x03\x01" + max_command.to_bytes(2, "big") + b"\x04\x02" + max_response.to_bytes(3, "big")
    return (
        _record(1, b"Hs", b"", b"\x15" + carrier, True, False)
        + _record(4, b"iso.org:18013:deviceengagement", b"mdoc", engagement, False, False)
        + _record(4, b"iso.org:18013:nfc", b"nfc", b"\x01" + lengths, False, True)
    )
