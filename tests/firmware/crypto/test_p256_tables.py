"""The tables of P-256 in our own image hold the multiples of the base point that they stand for."""

from firmware.crypto.curve import P256
from firmware.crypto.p256_tables import TABLES
from tests.support.machine import of_image
from tests.support.plain_curve import CURVES, multiple

SPACING = 58
"""Bits between two teeth of the comb: the scalar and 32 bits of blinding, with five teeth."""


def montgomery(scalar: int) -> bytes:
    """Return x and y of `scalar` times the base point, as the machine keeps them."""
    point = multiple(CURVES["P-256"], scalar % P256.n, P256.base)
    assert point is not None
    return b"".join(((number << 256) % P256.p).to_bytes(32, "little") for number in point)


def test_each_entry_is_the_multiple_that_it_stands_for() -> None:
    odd = list(range(1, 32, 2))
    comb = [(1 << 4 * SPACING) + sum((index >> j & 1 or -1) << SPACING * j for j in range(4)) for index in range(16)]
    assert b"".join(map(montgomery, odd + comb)) == TABLES


def test_a_machine_that_computes_its_tables_computes_these() -> None:
    image = of_image()
    made = image.field_image.Field(P256.p, P256.size)
    assert made.tabled
    made._slots(72, 64)[:] = bytes(len(TABLES))
    image.multiples.put_multiples(P256, made, P256.base, 72, 16)
    assert bytes(made._slots(72, 32)) == TABLES[:1024]
    assert not image.field_image.Field(CURVES["SM2"].p, 32).tabled
