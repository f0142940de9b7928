"""Claims about COSE structures and keys, checked by pycose and `cryptography`."""

from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import cbor, cose, crypto_cpython
from protocol.errors import FormatError, MooringError, VerificationError
from tests.support.on_lock import run_on_lock

PRIVATE, PUBLIC = crypto_cpython.generate("P-256")
KEY = ("P-256", PUBLIC)
MAC_KEY = bytes(range(32))


def signed(**settings: Any) -> list[Any]:
    return cose.sign1(crypto_cpython, PRIVATE, b"payload", **settings)


def maced(algorithm: Any = cose.HMAC_256) -> list[Any]:
    protected = cbor.encode({cose.ALG: algorithm})
    return [protected, {}, b"payload", crypto_cpython.hmac_sha256(MAC_KEY, cose.mac_structure(protected, b"payload"))]


def code_of(call: Any) -> str:
    with pytest.raises(MooringError) as refusal:
        call()
    return refusal.value.code


def test_a_signature_of_ours_is_good_for_pycose() -> None:
    from pycose.keys import EC2Key
    from pycose.messages import Sign1Message

    message = Sign1Message.from_cose_obj(list(signed()), True)
    message.key = EC2Key(crv="P_256", x=PUBLIC[1:33], y=PUBLIC[33:])
    assert message.verify_signature()


def test_a_mac_of_pycose_is_good_for_us() -> None:
    from pycose.headers import Algorithm
    from pycose.keys import SymmetricKey
    from pycose.messages import Mac0Message

    theirs = Mac0Message(phdr={Algorithm: "HMAC_256"}, payload=b"payload", external_aad=b"")
    theirs.key = SymmetricKey(k=MAC_KEY)
    message = cose.parse(cbor.decode(theirs.encode()))
    cose.verify_mac0(crypto_cpython, message, MAC_KEY)
    assert code_of(lambda: cose.verify_mac0(crypto_cpython, message, bytes(32))) == "cose.mac"


def test_an_intact_signature_is_accepted_attached_and_detached() -> None:
    cose.verify_sign1(crypto_cpython, cose.parse(signed()), KEY)
    cose.verify_sign1(crypto_cpython, cose.parse(signed(detached=True)), KEY, b"payload")


@pytest.mark.parametrize(
    ("position", "value", "code"),
    [
        (0, cbor.encode({1: -35}), "cose.algorithm"),
        (0, cbor.encode({1: True}), "cose.algorithm"),
        (0, cbor.encode({1: "ES256"}), "cose.algorithm"),
        (0, cbor.encode({1: [-7]}), "cose.algorithm"),
        (0, b"", "cose.algorithm"),
        (0, cbor.encode({1: -7, 4: b"kid"}), "cose.signature"),
        (2, b"another payload", "cose.signature"),
        (2, None, "cose.form"),
        (3, bytes(64), "cose.signature"),
        (3, b"", "cose.signature"),
    ],
)
def test_a_changed_member_is_refused(position: int, value: Any, code: str) -> None:
    item = signed()
    item[position] = value
    assert code_of(lambda: cose.verify_sign1(crypto_cpython, cose.parse(item), KEY)) == code


def test_an_attached_payload_does_not_pass_for_a_detached_one() -> None:
    message = cose.parse(signed())
    assert code_of(lambda: cose.verify_sign1(crypto_cpython, message, KEY, b"payload")) == "cose.form"


def test_a_signature_does_not_pass_for_a_mac_nor_the_reverse() -> None:
    assert code_of(lambda: cose.verify_mac0(crypto_cpython, cose.parse(signed()), MAC_KEY)) == "cose.algorithm"
    assert code_of(lambda: cose.verify_sign1(crypto_cpython, cose.parse(maced()), KEY)) == "cose.algorithm"
    as_mac, as_signature = cose.parse(cbor.Tag(17, signed())), cose.parse(cbor.Tag(18, maced()))
    assert code_of(lambda: cose.verify_sign1(crypto_cpython, as_mac, KEY)) == "cose.form"
    assert code_of(lambda: cose.verify_mac0(crypto_cpython, as_signature, MAC_KEY)) == "cose.form"


@pytest.mark.parametrize("algorithm", [4, 6, 7, -7, None, "HS256", True])
def test_any_mac_but_hmac_256_256_is_refused(algorithm: Any) -> None:
    message = cose.parse(maced(algorithm))
    assert code_of(lambda: cose.verify_mac0(crypto_cpython, message, MAC_KEY)) == "cose.algorithm"


def test_every_flipped_bit_of_a_mac_is_refused() -> None:
    for bit in range(256):
        item = maced()
        item[3] = (int.from_bytes(item[3], "big") ^ 1 << bit).to_bytes(32, "big")
        assert code_of(lambda item=item: cose.verify_mac0(crypto_cpython, cose.parse(item), MAC_KEY)) == "cose.mac"


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        {},
        b"",
        [b"", {}, None],
        [b"", {}, None, b"", b""],
        [{}, {}, None, b""],
        [b"", [], None, b""],
        [b"", {}, "payload", b""],
        [b"", {}, None, None],
        [b"\x80", {}, None, b""],
        [b"\x01", {}, None, b""],
        [b"\xa1\x01\x26", {1: -7}, None, b""],
        [b"", {b"label": 1}, None, b""],
        cbor.Tag(16, [b"", {}, None, b""]),
        cbor.Tag(98, [b"", {}, None, b""]),
    ],
)
def test_what_is_no_cose_message_is_refused(item: Any) -> None:
    assert code_of(lambda: cose.parse(item)) == "cose.form"


def test_a_protected_header_that_is_not_cbor_is_refused() -> None:
    assert code_of(lambda: cose.parse([b"\xa1", {}, None, b""])) == "cbor.truncated"
    assert code_of(lambda: cose.parse([b"\xa0\x00", {}, None, b""])) == "cbor.trailing"


@pytest.mark.parametrize("where", [0, 1])
def test_a_critical_header_is_refused(where: int) -> None:
    item: list[Any] = [b"", {}, None, b""]
    item[where] = {2: [1]} if where else cbor.encode({2: [1]})
    assert code_of(lambda: cose.parse(item)) == "cose.crit"


@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_a_key_reads_back_whole_and_compressed(curve: str) -> None:
    _, public = crypto_cpython.generate(curve)
    item = cbor2.loads(cose.encode_key(curve, public))
    assert cose.parse_key(item) == (curve, public)
    assert cose.parse_key({**item, -3: bool(public[-1] & 1)}) == (curve, public)
    assert cose.parse_key({**item, -3: not public[-1] & 1})[1] != public


def test_the_lock_decompresses_keys_as_cpython_does() -> None:
    keys = []
    for curve, identifier in (("P-256", 1), ("P-384", 2)):
        for _ in range(3):
            _, public = crypto_cpython.generate(curve)
            size = len(public) // 2
            keys.append((identifier, public[1 : 1 + size].hex(), public[-1] & 1, public.hex()))
    source = """
from protocol import cose
answer([cose.parse_key({1: 2, -1: curve, -2: bytes.fromhex(x), -3: bool(odd)})[1].hex() for curve, x, odd, _ in given])
"""
    assert run_on_lock(source, keys) == [public for *_, public in keys]


def test_an_x_that_no_point_has_is_refused() -> None:
    x = 1
    while True:
        try:
            compressed = b"\x02" + x.to_bytes(32, "big")
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), compressed)
        except ValueError:
            break
        x += 1
    item = {1: 2, -1: 1, -2: x.to_bytes(32, "big"), -3: True}
    assert code_of(lambda: cose.parse_key(item)) == "cose.key"


@pytest.mark.parametrize(
    "change",
    [
        {1: 1},
        {1: 2.0},
        {1: True},
        {-1: 3},
        {-1: True},
        {-1: "P-256"},
        {-2: b""},
        {-2: bytes(33)},
        {-3: None},
        {-3: bytes(31)},
    ],
)
def test_a_key_of_another_kind_is_refused(change: dict[int, Any]) -> None:
    with pytest.raises(FormatError) as refusal:
        cose.parse_key({1: 2, -1: 1, -2: bytes(32), -3: bytes(32), **change})
    assert refusal.value.code == "cose.key"


def test_a_key_off_the_curve_verifies_nothing() -> None:
    with pytest.raises(VerificationError):
        cose.verify_sign1(crypto_cpython, cose.parse(signed()), ("P-256", PUBLIC[:-1] + bytes([PUBLIC[-1] ^ 1])))


def test_points_are_those_of_cryptography() -> None:
    number = int.from_bytes(PRIVATE, "big")
    key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    assert key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == PUBLIC


def test_secrets_of_different_length_differ() -> None:
    assert cose.same(b"", b"")
    assert not cose.same(b"\x00", b"")
    assert not cose.same(b"\x00", b"\x00\x00")
