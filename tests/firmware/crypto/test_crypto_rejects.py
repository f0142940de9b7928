"""Invalid input is refused, on CPython and on the lock's interpreter."""

from collections.abc import Callable
from typing import Any

import pytest

from firmware.crypto import ecdsa, sm2
from firmware.crypto.curve import Curve, decode_point, encode_point, find_curve
from firmware.crypto.secret_multiples import multiply_base
from firmware.crypto.sm3 import sm3
from protocol import crypto_cpython
from tests.support.crypto_calls import RUNTIMES, Call
from tests.support.plain_curve import CURVES

Run = Callable[[list[Call]], list[Any]]

PRIVATE = bytes(range(1, 33))
PUBLIC = crypto_cpython.public("P-256", PRIVATE)
MESSAGE = b"the guest in question"
SIGNATURE = crypto_cpython.sign(PRIVATE, MESSAGE)
P256 = CURVES["P-256"]
P384 = CURVES["P-384"]
ORDER = P256.n.to_bytes(32, "big")


@pytest.fixture(params=list(RUNTIMES), name="run")
def _run(request: pytest.FixtureRequest) -> Run:
    return RUNTIMES[request.param]


def _verdicts(run: Run, signatures: list[bytes], public: bytes = PUBLIC) -> list[Any]:
    return run([("verify", ["P-256", public, "SHA-256", MESSAGE, signature]) for signature in signatures])


def _flips(data: bytes, step: int) -> list[bytes]:
    bits = range(0, 8 * len(data), step)
    return [(int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big") for bit in bits]


def test_a_signature_with_one_bit_flipped_is_rejected(run: Run) -> None:
    assert _verdicts(run, [SIGNATURE]) == [True]
    assert not any(_verdicts(run, _flips(SIGNATURE, 7)))


def test_a_signature_for_another_message_key_or_hash_is_rejected(run: Run) -> None:
    stranger = crypto_cpython.public("P-256", PRIVATE[::-1])
    assert (
        run(
            [
                ("verify", ["P-256", PUBLIC, "SHA-256", MESSAGE + b"\x00", SIGNATURE]),
                ("verify", ["P-256", stranger, "SHA-256", MESSAGE, SIGNATURE]),
                ("verify", ["P-256", PUBLIC, "SHA-384", MESSAGE, SIGNATURE]),
            ]
        )
        == [False] * 3
    )


def test_r_and_s_outside_1_to_n_minus_1_are_rejected(run: Run) -> None:
    r, s = SIGNATURE[:32], SIGNATURE[32:]
    zero, top = bytes(32), b"\xff" * 32
    bad = [zero + s, r + zero, zero + zero, ORDER + s, r + ORDER, top + s, r + top, ORDER + ORDER]
    assert not any(_verdicts(run, bad))


def test_s_that_is_right_modulo_n_but_not_below_it_is_rejected(run: Run) -> None:
    # With this key, r = x of the base point and s = 1 are a valid signature. s = n + 1 still fits into 32 bytes.
    e = int.from_bytes(crypto_cpython.digest("SHA-256", MESSAGE), "big")
    r, n = P256.base[0] % P256.n, P256.n
    private = (1 - e) * pow(r, -1, n) % n
    public = crypto_cpython.public("P-256", private.to_bytes(32, "big"))
    good, bad = [r.to_bytes(32, "big") + s.to_bytes(32, "big") for s in (1, n + 1)]
    assert _verdicts(run, [good, bad], public) == [True, False]


def test_a_signature_of_another_length_is_rejected(run: Run) -> None:
    bad = [b"", SIGNATURE[:-1], SIGNATURE + b"\x00", b"\x00" + SIGNATURE, SIGNATURE[:32], SIGNATURE * 2]
    assert not any(_verdicts(run, bad))


def test_a_zero_digest_does_not_make_any_signature_good(run: Run) -> None:
    zero = bytes(32)
    forged = P256.base[0].to_bytes(32, "big") + b"\x01".rjust(32, b"\x00")
    assert run([("ecdsa.verify", ["P-256", PUBLIC, zero, forged])]) == [False]


@pytest.mark.parametrize("name", ["P-256", "P-384", "P-521"])
def test_a_signature_whose_sum_is_infinity_is_rejected(name: str) -> None:
    """The owner of a key can choose r so that e + r d = 0. Then the sum of the two points is infinity for every s."""
    curve, private = find_curve(name), 7
    n, public = curve.n, encode_point(curve, multiply_base(curve, private))
    digest = crypto_cpython.digest("SHA-256", MESSAGE)
    e, x = int.from_bytes(digest, "big"), multiply_base(curve, 3)[0]
    good = (x % n, pow(3, -1, n) * (e + x * private) % n)
    infinite = [(-e * pow(private, -1, n) % n, s) for s in (1, 3, n - 1)]
    verdicts = [
        ecdsa.verify(name, public, digest, b"".join([part.to_bytes(curve.size, "big") for part in signature]))
        for signature in [good, *infinite]
    ]
    assert verdicts == [True, False, False, False]


def test_an_sm2_signature_whose_sum_is_infinity_is_rejected() -> None:
    """The owner of a key can choose r so that s + (r + s) d = 0."""
    curve, private = find_curve("SM2"), 7
    n, public = curve.n, encode_point(curve, multiply_base(curve, private))
    e = int.from_bytes(sm3(sm2.identity_digest(public), MESSAGE), "big")
    r = (e + multiply_base(curve, 3)[0]) % n
    good = (r, pow(1 + private, -1, n) * (3 - r * private) % n)
    infinite = [((-s * pow(private, -1, n) - s) % n, s) for s in (1, 3, n - 1)]
    verdicts = [
        sm2.verify(public, (MESSAGE,), b"".join([part.to_bytes(32, "big") for part in signature]))
        for signature in [good, *infinite]
    ]
    assert verdicts == [True, False, False, False]


def _bad_points(curve: Curve) -> list[bytes]:
    size, p = curve.size, curve.p
    good = encode_point(curve, curve.base)
    x, y = good[1 : 1 + size], good[1 + size :]
    # The point has a small x, so x + p still fits. x + p is right modulo p, but is not a valid coordinate.
    small = next(value for value in range(1, 100) if pow(value**3 - 3 * value + curve.b, (p - 1) // 2, p) == 1)
    root = pow(small**3 - 3 * small + curve.b, (p + 1) // 4, p)
    assert decode_point(curve, b"\x04" + small.to_bytes(size, "big") + root.to_bytes(size, "big"))
    return [
        b"",
        b"\x00",
        bytes(1 + 2 * size),
        b"\x04" + bytes(2 * size),
        b"\x04" + x + bytes(size),
        b"\x04" + y + x,
        b"\x04" + x + (int.from_bytes(y, "big") ^ 1).to_bytes(size, "big"),
        b"\x04" + (small + p).to_bytes(size, "big") + root.to_bytes(size, "big"),
        b"\x04" + p.to_bytes(size, "big") * 2,
        b"\x04" + b"\xff" * (2 * size),
        bytes([2 + (y[-1] & 1)]) + x,
        bytes([6 + (y[-1] & 1)]) + x + y,
        b"\x05" + x + y,
        good[:-1],
        good + b"\x00",
        good[1:],
    ]


@pytest.mark.parametrize("curve", [P256, P384], ids=["P-256", "P-384"])
def test_whatever_is_no_point_of_the_curve_is_rejected_as_a_key(run: Run, curve: Curve) -> None:
    name = "P-256" if curve is P256 else "P-384"
    points = _bad_points(curve)
    private = b"\x07".rjust(curve.size, b"\x00")
    signature = b"\x01" * (2 * curve.size)
    assert run([("ecdh", [name, private, point]) for point in points]) == ["refused: crypto.key"] * len(points)
    verify: list[Call] = [("verify", [name, point, "SHA-256", MESSAGE, signature]) for point in points]
    assert run(verify) == [False] * len(points)


def test_a_point_of_one_curve_is_no_key_on_the_other(run: Run) -> None:
    other = crypto_cpython.public("P-384", bytes(47) + b"\x07")
    assert run([("ecdh", ["P-256", PRIVATE, other]), ("ecdh", ["P-384", bytes(47) + b"\x07", PUBLIC])]) == [
        "refused: crypto.key",
        "refused: crypto.key",
    ]


def test_a_scalar_outside_1_to_n_minus_1_or_of_another_length_is_rejected_as_a_key(run: Run) -> None:
    bad = [bytes(32), ORDER, b"\xff" * 32, b"", PRIVATE[:-1], b"\x00" + PRIVATE]
    calls: list[Call] = []
    for private in bad:
        calls += [("public", ["P-256", private]), ("ecdh", ["P-256", private, PUBLIC]), ("sign", [private, MESSAGE])]
    assert run(calls) == ["refused: crypto.key"] * len(calls)


def test_sealed_bytes_changed_anywhere_do_not_open(run: Run) -> None:
    key, nonce, aad, text = bytes(range(16)), bytes(range(12)), b"header", b"what only the province may read"
    sealed = crypto_cpython.seal_gcm(key, nonce, text, aad)
    changed = [(key, nonce, one, aad) for one in _flips(sealed, 5)]
    changed += [(key, nonce, sealed[:length], aad) for length in range(len(sealed))]
    changed += [(key, nonce, sealed + b"\x00", aad), (key, nonce, sealed, aad + b"\x00"), (key, nonce, sealed, b"")]
    changed += [(key, nonce, sealed, one) for one in _flips(aad, 3)]
    changed += [(key, one, sealed, aad) for one in _flips(nonce, 11)] + [
        (one, nonce, sealed, aad) for one in _flips(key, 9)
    ]
    changed += [(key, nonce[:-1], sealed, aad), (key, nonce + b"\x00", sealed, aad), (key, b"", sealed, aad)]
    # The zeros that fill the last block are not part of the message.
    changed += [(key, nonce, sealed, aad + bytes(10)), (key, nonce, sealed[:-16] + b"\x00" + sealed[-16:], aad)]
    assert run([("open_gcm", [key, nonce, sealed, aad])]) == [text]
    assert run([("open_gcm", list(one)) for one in changed]) == ["refused: crypto.tag"] * len(changed)


def test_sealing_under_a_key_or_nonce_of_another_length_is_an_error(run: Run) -> None:
    calls: list[Call] = [("seal_gcm", [bytes(length), bytes(12), b"", b""]) for length in (0, 15, 17, 24, 31, 33, 64)]
    calls += [("seal_gcm", [bytes(16), bytes(length), b"", b""]) for length in (0, 8, 11, 13, 16)]
    assert run(calls) == ["ValueError"] * len(calls)


def test_hkdf_gives_no_more_than_255_blocks(run: Run) -> None:
    assert run([("hkdf_expand", [bytes(32), b"", 8161])]) == ["ValueError"]
    assert run([("hkdf_expand", [bytes(32), b"", 8160])]) == [crypto_cpython.hkdf_expand(bytes(32), b"", 8160)]


def test_an_unknown_hash_is_an_error(run: Run) -> None:
    assert run([("digest", ["SHA-1", b""])]) == ["ValueError"]
