"""Nonces are made ahead. Each nonce signs once, and is wiped before it signs.

`test_randomness.py` shows that no nonce comes twice after a power cut, even if the chip's generator repeats itself.
"""

from collections.abc import Iterator

import pytest

from firmware import crypto as own
from firmware.crypto import ecdsa
from protocol import crypto_cpython as crypto
from protocol.errors import VerificationError

PRIVATE, PUBLIC = crypto.generate("P-256")


@pytest.fixture(autouse=True)
def none_ready() -> Iterator[None]:
    """Begin and end without a ready nonce."""
    _use_up()
    yield
    _use_up()


def _use_up() -> None:
    while ecdsa.sign_with_ready(PRIVATE, b"") is not None:
        pass


def _good(message: bytes, signature: bytes) -> bool:
    return crypto.verify("P-256", PUBLIC, "SHA-256", message, signature)


def test_a_nonce_that_is_ready_signs_once_and_is_wiped() -> None:
    assert ecdsa.sign_with_ready(PRIVATE, b"x") is None
    assert own.prepare_signature()
    assert any(ecdsa._ready)
    signature = ecdsa.sign_with_ready(PRIVATE, b"x")
    assert signature is not None and _good(b"x", signature) and not _good(b"y", signature)
    assert not any(ecdsa._ready)
    assert ecdsa.sign_with_ready(PRIVATE, b"x") is None


def test_no_nonce_signs_twice_however_making_and_signing_alternate() -> None:
    made, seen = 0, []
    for step in (True, True, True, False, True, False, False, False, True, False):
        if step:
            made += own.prepare_signature()
        else:
            seen.append(own.sign(PRIVATE, b"the same")[:32])
    assert made == 4, "the third call found all places taken"
    assert len(set(seen)) == len(seen) == 5
    assert not any(ecdsa._ready)


def test_a_nonce_that_gives_no_signature_is_wiped_and_another_one_signs() -> None:
    own.prepare_signature()
    ecdsa._ready[:32] = bytes(32)  # r = 0, which a signature must not have
    assert ecdsa.sign_with_ready(PRIVATE, b"x") is None
    assert not any(ecdsa._ready)
    own.prepare_signature()
    ecdsa._ready[:32] = bytes(32)
    assert _good(b"x", own.sign(PRIVATE, b"x"))


def test_a_key_out_of_range_takes_no_nonce() -> None:
    own.prepare_signature()
    with pytest.raises(VerificationError) as refused:
        own.sign(bytes(32), b"x")
    assert refused.value.code == "crypto.key"
    signature = ecdsa.sign_with_ready(PRIVATE, b"x")
    assert signature is not None and _good(b"x", signature)
