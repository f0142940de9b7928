"""Numbers and points in corner cases that random keys never reach."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.crypto import ghash, multiples, secret_multiples
from firmware.crypto.curve import Curve
from firmware.crypto.modular import inverse, inverses, random_below
from protocol import crypto_cpython
from tests.support.on_lock import run_on_lock
from tests.support.plain_curve import CURVES, multiple

P256 = CURVES["P-256"]
CURVE = st.sampled_from(list(CURVES.values()))


def _combined(curve: Curve, u1: int, u2: int, other: tuple[int, int]) -> tuple[int, int] | None:
    """Return u1 * base point + u2 * other in affine form. None stands for infinity."""
    result = multiples.combine(curve, u1, u2, other)
    return multiples.affine(curve, [result])[0] if result[2] else None


@given(st.integers(min_value=1), CURVE)
def test_an_inverse_undoes_its_number(number: int, curve: Curve) -> None:
    for modulus in (curve.p, curve.n):
        if number % modulus:
            assert number * inverse(number, modulus) % modulus == 1


def test_zero_has_no_inverse() -> None:
    assert inverse(0, P256.p) == inverse(P256.p, P256.p) == 0


@given(st.lists(st.integers(1, P256.p - 1), min_size=1, max_size=9))
def test_many_inverses_at_once_are_the_inverses_one_by_one(numbers: list[int]) -> None:
    assert inverses(numbers, P256.p) == [pow(number, -1, P256.p) for number in numbers]


def test_random_numbers_keep_their_limits() -> None:
    drawn = {random_below(251, 1) for _ in range(4000)}
    assert drawn == set(range(1, 251))


def test_the_order_of_the_base_point_is_n() -> None:
    for curve in CURVES.values():
        opposite = (curve.base[0], curve.p - curve.base[1])
        assert multiple(curve, curve.n, curve.base) is None
        assert multiple(curve, curve.n - 1, curve.base) == opposite
        assert _combined(curve, curve.n - 1, 0, curve.base) == _combined(curve, 0, curve.n - 1, curve.base) == opposite


@given(st.integers(0, P256.n - 1), st.integers(3, 6))
def test_windows_spell_their_scalar_sparsely(scalar: int, width: int) -> None:
    script = bytearray(b"\0" * 3 * 257)
    multiples._write_windows(script, 32, scalar, width, 0x40, len(script) - 1)
    steps = script[-1::-3]
    assert sum(step != 0 for step in script) == sum(step != 0 for step in steps)
    digits = [(-1 if step & 16 else 1) * (2 * (step & 15) + 1) if step else 0 for step in steps]
    assert sum(digit << place for place, digit in enumerate(digits)) == scalar
    for place, digit in enumerate(digits):
        assert digit == 0 or not any(digits[place + 1 : place + width])


def test_a_sum_of_two_multiples_is_right_where_the_points_collide() -> None:
    for curve in CURVES.values():
        n = curve.n
        for factor in (1, 2, 3, n - 1, n - 2):
            other = multiple(curve, factor, curve.base)
            assert other is not None
            for u1, u2 in [(0, 0), (0, 1), (1, 0), (1, 1), (1, n - 1), (n - 1, 1), (n - 1, n - 1), (2, 1), (16, 16)]:
                assert _combined(curve, u1, u2, other) == multiple(curve, u1 + u2 * factor, curve.base)


@given(CURVE, st.integers(0, 40), st.booleans())
def test_secret_multiples_are_right_at_both_ends_of_the_range(curve: Curve, offset: int, top: bool) -> None:
    scalar = curve.n - 1 - offset if top else 1 + offset
    expected = multiple(curve, scalar, curve.base)
    assert secret_multiples.multiply_base(curve, scalar) == expected
    assert secret_multiples.multiply(curve, scalar, curve.base) == expected


@given(st.integers(1, P256.n - 1))
def test_the_blinded_scalar_spells_the_same_multiple_with_signs_alone(scalar: int) -> None:
    bits = int.from_bytes(secret_multiples._signed_bits(P256, scalar, 290), "little")
    assert 1 << 289 <= bits < 1 << 290
    spelt = sum((1 if bits >> place & 1 else -1) << place for place in range(290))
    assert spelt % P256.n == scalar
    assert int.from_bytes(secret_multiples._signed_bits(P256, scalar, 290), "little") != bits


def _steps(scalar: int) -> list[bytes]:
    """Return the routines that run in the two kinds of multiplication, one after the other."""
    taken = []
    field = multiples.prepare(P256)
    run = type(field).run

    class Watched(type(field)):  # type: ignore[misc]
        def run(self, script: bytes, program: int = 0) -> bool:
            taken.append(bytes([step & 0xE0 for step in script]) + bytes([program]))
            return run(self, script, program)

    field.__class__ = Watched
    try:
        secret_multiples.multiply_base(P256, scalar)
        secret_multiples.multiply(P256, scalar, P256.base)
    finally:
        field.__class__ = Watched.__base__
    return taken


def test_the_point_operations_do_not_depend_on_the_secret() -> None:
    # Small scalars and their opposites are left out, because their points may collide (see `secret_multiples`).
    secret_multiples.multiply_base(P256, 1)
    usual = _steps(1 << 64)
    for scalar in (3 << 64, 1 << 128, 1 << 255, P256.n - (1 << 64), P256.n // 2, 0xAAAA << 200):
        assert _steps(scalar) == usual


def test_both_forms_of_ghash_agree_on_the_lock() -> None:
    source = """
from firmware.crypto import ghash, ghash_viper
from os import urandom
same = True
for length in list(range(40)) + [255, 256, 1000]:
    key, aad, text = urandom(16), urandom(length // 2), urandom(length)
    same = same and ghash.ghash(key, aad, text) == ghash_viper.ghash(key, aad, text)
answer([same, ghash_viper.ghash(b"\\xff" * 16, b"\\xff" * 64).hex()])
"""
    assert run_on_lock(source) == [True, ghash.ghash(b"\xff" * 16, b"\xff" * 64).hex()]


def test_hashes_and_ciphers_leave_no_garbage_for_each_block() -> None:
    source = """
import gc
from firmware import crypto
short, long = bytes(range(256)) * 2, bytes(range(256)) * 16
key, nonce = bytes(32), bytes(12)
sealed = [memoryview(bytearray(crypto.seal_gcm(key, nonce, text, b""))) for text in (short, long)]
def hashed(name):
    return lambda text: crypto.digest(name, text)
acts = {name: [hashed(name), short, long] for name in ("SHA-384", "SHA-512", "SM3")}
acts["GCM"] = [lambda view: crypto.open_gcm_in_place(key, nonce, view, b"")] + sealed
found = {}
for name, (act, less, more) in acts.items():
    if name != "GCM":
        act(less)  # loads the module
    spent = []
    for text in (less, more):
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        result = act(text)
        spent.append(gc.mem_alloc() - before)
        gc.enable()
    found[name] = spent + [bytes(result).hex()]
answer(found)
"""
    found = run_on_lock(source)
    long = bytes(range(256)) * 16
    for name, (less, more, result) in found.items():
        assert more - less <= (1024 if name == "GCM" else 0), "3,584 bytes more, and nothing for each block"
        assert bytes.fromhex(result) == (long if name == "GCM" else crypto_cpython.digest(name, long))


def test_code_and_tables_leave_the_heap_to_the_lock() -> None:
    source = """
import gc
gc.collect()
before = gc.mem_alloc()
from firmware import crypto
private, public = crypto.generate("P-256")
crypto.verify("P-256", public, "SHA-256", b"", crypto.sign(private, b""))
crypto.open_gcm(bytes(16), bytes(12), crypto.seal_gcm(bytes(16), bytes(12), bytes(2000), b""), b"")
crypto.digest("SHA-512", b"")
gc.collect()
answer(gc.mem_alloc() - before)
"""
    assert run_on_lock(source) < 48 * 1024
