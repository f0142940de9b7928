"""A stay PIN belongs to one guest in one stay. Platform and lock derive the same PIN, and nobody else can."""

from hypothesis import given
from hypothesis import strategies as st

from protocol import crypto_cpython as crypto
from protocol.grant import commitment, commitment_key
from protocol.stay_pin import DIGITS, is_pin, stay_pin
from tests.support.on_lock import run_on_lock

KEY, GRANT, GUEST = bytes(range(32)), bytes(range(16)), bytes(range(32, 64))


def test_a_known_answer() -> None:
    # Python's hmac computes HMAC-SHA256 over these bytes: 83 70 "mooring/stay-pin" 50 <grant id> 5820 <commitment>.
    # The PIN is the first half of the result, modulo 10^8.
    import hmac

    said = b"\x83\x70mooring/stay-pin\x50" + GRANT + b"\x58\x20" + GUEST
    number = int.from_bytes(hmac.digest(KEY, said, "sha256")[:16], "big") % 10**8
    assert stay_pin(crypto, KEY, GRANT, GUEST) == f"{number:08}"


def test_platform_and_lock_derive_the_same_and_a_courier_another() -> None:
    platform, lock, courier = (crypto.generate("P-256") for _ in range(3))
    key = commitment_key(crypto, platform[0], lock[1])
    guest = commitment(crypto, key, GRANT, b"\x81\x02")
    mine = stay_pin(crypto, commitment_key(crypto, lock[0], platform[1]), GRANT, guest)
    assert mine == stay_pin(crypto, key, GRANT, guest)
    assert mine != stay_pin(crypto, commitment_key(crypto, courier[0], lock[1]), GRANT, guest)


def test_every_guest_and_every_stay_has_another() -> None:
    pins = {stay_pin(crypto, KEY, bytes([n]) * 16, bytes([m]) * 32) for n in range(8) for m in range(8)}
    assert len(pins) == 64


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_it_has_eight_digits_leading_zeros_included(key: bytes, grant_id: bytes, guest: bytes) -> None:
    assert is_pin(stay_pin(crypto, key, grant_id, guest))


def test_what_is_no_pin() -> None:
    assert is_pin("00000000")
    for text in ("", "1234567", "123456789", "1234567a", "-1234567", "１２３４５６７８", "1234 678"):
        assert not is_pin(text)


def test_the_lock_derives_the_same() -> None:
    cases = [[bytes([n]) * 32, bytes([n]) * 16, bytes([n, 1] * 16)] for n in range(20)]
    source = """
from firmware import crypto
from protocol.stay_pin import stay_pin
answer([stay_pin(crypto, *[bytes.fromhex(part) for part in case]) for case in given])
"""
    said = run_on_lock(source, [[part.hex() for part in case] for case in cases])
    assert said == [stay_pin(crypto, *case) for case in cases]
    assert all(len(pin) == DIGITS for pin in said)
