"""The functions of `protocol.crypto` that work with either implementation of the interface."""

import pytest

from protocol import crypto_cpython
from protocol.crypto import AGREEMENT_CURVES, is_point
from protocol.errors import VerificationError
from tests.support.on_lock import run_on_lock

ON_LOCK = """
from firmware import crypto
from protocol.crypto import is_point
answer([is_point(crypto, curve, bytes.fromhex(point)) for curve, point in given])
"""


@pytest.mark.parametrize("curve", AGREEMENT_CURVES)
def test_a_point_is_told_from_what_only_looks_like_one_on_both_runtimes(curve: str) -> None:
    point = crypto_cpython.generate(curve)[1]
    off = point[:-1] + bytes([point[-1] ^ 1])
    zeros, short, infinity = b"\x04" + bytes(len(point) - 1), point[:-1], b"\0"
    tried = [point, off, zeros, short, infinity, b""]
    judged = [is_point(crypto_cpython, curve, each) for each in tried]
    assert judged == [True, False, False, False, False, False]
    assert run_on_lock(ON_LOCK, [[curve, each.hex()] for each in tried]) == judged


def test_a_key_that_is_loaded_once_gives_the_same_answers() -> None:
    private, public = crypto_cpython.generate("P-256")
    other = crypto_cpython.generate("P-256")[1]
    loaded = crypto_cpython.LoadedKey("P-256", private)
    assert (loaded, loaded.public, crypto_cpython.public("P-256", loaded)) == (private, public, public)
    assert crypto_cpython.ecdh("P-256", loaded, other) == crypto_cpython.ecdh("P-256", private, other)
    assert crypto_cpython.verify("P-256", public, "SHA-256", b"m", crypto_cpython.sign(loaded, b"m"))


def test_a_scalar_out_of_range_is_not_loaded_and_a_loaded_key_is_of_its_own_curve() -> None:
    for scalar in (bytes(32), b"\xff" * 32):
        with pytest.raises(VerificationError) as refusal:
            crypto_cpython.LoadedKey("P-256", scalar)
        assert refusal.value.code == "crypto.key"
    loaded = crypto_cpython.LoadedKey("P-256", bytes(31) + b"\x07")
    assert (
        crypto_cpython.public("P-384", loaded) == crypto_cpython.public("P-384", bytes(31) + b"\x07") != loaded.public
    )
