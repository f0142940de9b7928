"""The functions of `protocol.crypto` that work with either implementation of the interface."""

import pytest

from protocol import crypto_cpython
from protocol.crypto import AGREEMENT_CURVES, is_point
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
