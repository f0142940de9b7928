"""`firmware.crypto` and `cryptography` understand each other, and MicroPython gives the same results as CPython."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import crypto
from firmware.crypto import hkdf
from protocol import crypto_cpython
from protocol.crypto import AGREEMENT_CURVES, COORDINATE_BYTES
from protocol.errors import VerificationError
from tests.support import plain_curve
from tests.support.crypto_calls import Call, on_cpython, on_micropython

CURVES = st.sampled_from(AGREEMENT_CURVES)
ECDSA_CURVES = st.sampled_from([*AGREEMENT_CURVES, "P-521"])
HASHES = st.sampled_from(["SHA-256", "SHA-384", "SHA-512"])
ORDERS = {name: curve.n for name, curve in plain_curve.CURVES.items()}


@st.composite
def key_pairs(
    draw: st.DrawFn, curve: str | None = None, curves: st.SearchStrategy[str] = CURVES
) -> tuple[str, bytes, bytes]:
    """Draw (curve, private, public). Many of the private keys are near both ends of the range."""
    name = curve or draw(curves)
    order = ORDERS[name]
    scalar = draw(st.one_of(st.integers(1, 20), st.integers(order - 20, order - 1), st.integers(1, order - 1)))
    private = scalar.to_bytes(COORDINATE_BYTES[name], "big")
    return name, private, crypto_cpython.public(name, private)


@given(key_pairs())
def test_public_keys_agree(pair: tuple[str, bytes, bytes]) -> None:
    curve, private, public = pair
    assert crypto.public(curve, private) == public


@given(key_pairs("P-256"), st.binary(max_size=300))
def test_what_the_lock_signs_verifies_elsewhere(pair: tuple[str, bytes, bytes], message: bytes) -> None:
    _, private, public = pair
    signature = crypto.sign(private, message)
    assert crypto_cpython.verify("P-256", public, "SHA-256", message, signature)
    assert crypto.verify("P-256", public, "SHA-256", message, signature)


@given(key_pairs("P-256"), st.binary(max_size=300))
def test_what_is_signed_elsewhere_verifies_on_the_lock(pair: tuple[str, bytes, bytes], message: bytes) -> None:
    _, private, public = pair
    assert crypto.verify("P-256", public, "SHA-256", message, crypto_cpython.sign(private, message))


@given(key_pairs(curves=ECDSA_CURVES), HASHES, st.binary(max_size=64), st.data())
def test_signatures_near_the_truth_are_judged_alike(
    pair: tuple[str, bytes, bytes], hash_name: str, message: bytes, data: st.DataObject
) -> None:
    curve, private, public = pair
    order, size = ORDERS[curve], COORDINATE_BYTES[curve]
    # With nonce 1, r is the x coordinate of the base point. So s is found without a point multiplication.
    e = int.from_bytes(crypto_cpython.digest(hash_name, message)[:size], "big")
    r = plain_curve.CURVES[curve].base[0] % order
    s = (e + r * int.from_bytes(private, "big")) % order
    signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    flipped = data.draw(st.one_of(st.none(), st.integers(0, 16 * size - 1)))
    if flipped is not None:
        number = int.from_bytes(signature, "big") ^ 1 << flipped
        signature = number.to_bytes(2 * size, "big")
    verdict = crypto.verify(curve, public, hash_name, message, signature)
    assert verdict == crypto_cpython.verify(curve, public, hash_name, message, signature)
    assert verdict == (flipped is None)


@given(st.data(), CURVES)
def test_key_agreement_gives_both_sides_the_same_secret(data: st.DataObject, curve: str) -> None:
    _, one, one_public = data.draw(key_pairs(curve))
    _, other, other_public = data.draw(key_pairs(curve))
    shared = crypto.ecdh(curve, one, other_public)
    assert shared == crypto_cpython.ecdh(curve, other, one_public)
    assert shared == crypto.ecdh(curve, other, one_public)


@given(CURVES)
def test_fresh_keys_are_good_elsewhere_and_never_the_same(curve: str) -> None:
    private, public = crypto.generate(curve)
    assert crypto_cpython.public(curve, private) == public
    assert crypto.generate(curve) != (private, public)


@given(HASHES, st.binary(max_size=520))
def test_digests_agree(name: str, data: bytes) -> None:
    assert crypto.digest(name, data) == crypto_cpython.digest(name, data)


@given(st.sampled_from(["SHA-256", "SHA-384", "SHA-512", "SM3"]), st.lists(st.binary(max_size=200), max_size=5))
def test_a_message_in_pieces_has_the_digest_of_the_whole_message(name: str, pieces: list[bytes]) -> None:
    assert crypto.digest(name, *pieces) == crypto_cpython.digest(name, b"".join(pieces))


def test_digests_agree_at_every_length_around_a_block() -> None:
    for length in list(range(100, 140)) + list(range(230, 260)):
        data = bytes(range(length % 256)) + bytes(length)
        for name in ("SHA-384", "SHA-512"):
            assert crypto.digest(name, data) == crypto_cpython.digest(name, data)


@given(st.binary(max_size=150), st.binary(max_size=200))
def test_hmac_agrees(key: bytes, data: bytes) -> None:
    assert crypto.hmac_sha256(key, data) == crypto_cpython.hmac_sha256(key, data)


def test_an_hmac_is_right_after_one_that_ended_in_the_middle() -> None:
    hkdf._inner[:] = hkdf._outer[:] = b"\xff" * 64  # a MemoryError may leave anything here
    assert crypto.hmac_sha256(b"key", b"data") == crypto_cpython.hmac_sha256(b"key", b"data")
    assert set(hkdf._inner) == {0x36} and set(hkdf._outer) == {0x5C}, "nothing of the key is left"


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80), st.integers(0, 300))
def test_hkdf_agrees(salt: bytes, secret: bytes, info: bytes, length: int) -> None:
    key = crypto.hkdf_extract(salt, secret)
    assert key == crypto_cpython.hkdf_extract(salt, secret)
    if length:
        assert crypto.hkdf_expand(key, info, length) == crypto_cpython.hkdf_expand(key, info, length)


@given(
    st.sampled_from([16, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.binary(min_size=12, max_size=12),
    st.one_of(st.binary(max_size=100), st.integers(1000, 2100).map(bytes)),
    st.binary(max_size=40),
)
def test_gcm_seals_the_same_bytes_and_opens_them(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> None:
    sealed = crypto.seal_gcm(key, nonce, plaintext, aad)
    assert sealed == crypto_cpython.seal_gcm(key, nonce, plaintext, aad)
    for each in (crypto, crypto_cpython):
        room = bytearray(b"ab" + plaintext + bytes(16) + b"c")
        each.seal_gcm_in_place(key, nonce, memoryview(room)[2:-1], aad)
        assert room == b"ab" + sealed + b"c"
    assert crypto.open_gcm(key, nonce, sealed, aad) == plaintext
    memory = bytearray(b"ab" + sealed + b"c")
    assert crypto.open_gcm_in_place(key, nonce, memoryview(memory)[2:-1], aad) == plaintext
    assert memory[:2] + memory[2 + len(plaintext) :] == b"ab" + sealed[-16:] + b"c"
    memory[-2] ^= 1
    with pytest.raises(VerificationError, match=r"crypto\.tag"):
        crypto.open_gcm_in_place(key, nonce, memoryview(memory)[2:-1], aad)
    assert memory[2:-17] == plaintext, "nothing is decrypted before the tag is checked"


def test_the_lock_answers_as_cpython_does() -> None:
    """Call every function that has only one right result, with many inputs, on the lock's own interpreter."""
    source = random.Random(20)
    calls: list[Call] = []
    for round_number in range(12):
        for curve in AGREEMENT_CURVES:
            order, size = ORDERS[curve], COORDINATE_BYTES[curve]
            scalar = source.choice([1, 2, order - 2, order - 1, *(source.randrange(1, order) for _ in range(8))])
            private = scalar.to_bytes(size, "big")
            other = crypto_cpython.public(curve, source.randrange(1, order).to_bytes(size, "big"))
            calls += [("public", [curve, private]), ("ecdh", [curve, private, other])]
        message = source.randbytes(source.randrange(300))
        key = source.randrange(1, ORDERS["P-256"]).to_bytes(32, "big")
        public, signature = crypto_cpython.public("P-256", key), crypto_cpython.sign(key, message)
        calls += [("ecdsa.sign", [key, message, source.randbytes(32)])]
        calls += [("verify", ["P-256", public, "SHA-256", message, signature])]
        calls += [("verify", ["P-256", public, "SHA-256", message + b"!", signature])]
        calls += [("digest", [name, message]) for name in ("SHA-256", "SHA-384", "SHA-512")]
        calls += [("hmac_sha256", [message, key]), ("hkdf_extract", [message[:40], key])]
        calls += [("hkdf_expand", [key, message, 9 * round_number])]
        cipher_key = source.randbytes(source.choice([16, 32]))
        nonce, text = source.randbytes(12), source.randbytes(source.choice([0, 1, 15, 16, 17, 1023, 1024, 1025, 2500]))
        aad = source.randbytes(source.randrange(50))
        sealed = crypto_cpython.seal_gcm(cipher_key, nonce, text, aad)
        calls += [("seal_gcm", [cipher_key, nonce, text, aad]), ("open_gcm", [cipher_key, nonce, sealed, aad])]
    assert on_micropython(calls) == on_cpython(calls)


def test_keys_and_signatures_made_on_the_lock_are_good_elsewhere() -> None:
    calls: list[Call] = [("generate", [curve]) for curve in AGREEMENT_CURVES for _ in range(8)]
    pairs = on_micropython(calls)
    for (_, (curve,)), (private, public) in zip(calls, pairs, strict=True):
        assert crypto_cpython.public(curve, private) == public
    private, public = pairs[0]
    signatures = on_micropython([("sign", [private, bytes([number])]) for number in range(8)])
    for number, signature in enumerate(signatures):
        assert crypto_cpython.verify("P-256", public, "SHA-256", bytes([number]), signature)
    assert len({bytes(signature[:32]) for signature in on_micropython([("sign", [private, b"same"])] * 3)}) == 3
