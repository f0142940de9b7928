"""Counts the instructions of the field machine's assembler. An emulator counts these instructions, so the counts are
the same on every computer. docs/field-machine.md has these counts, and a test compares them with the counts of a run.
"""

from typing import Any

import pytest

from sim.board.interpreter import ROOT
from tests.support.machine import MACHINE, of_image
from tests.support.plain_curve import CURVES, multiple

IMAGE = of_image()
field_image = IMAGE.field_image


def counted(call: Any) -> int:
    MACHINE.count = 0
    call()
    count, MACHINE.count = MACHINE.count, None
    return count


def operations(name: str) -> str:
    """Return the row of the first table for a curve."""
    curve = CURVES[name]
    cells = []
    for modulus, texts in ((curve.p, (b"XY*Z", b"XY+Z", b"XY-Z")), (curve.n, (b"XY*Z",))):
        made = field_image.Field(modulus, curve.size, 27)
        empty = field_image.assembled([("empty", b"", 0, 0)])
        base = counted(lambda made=made, empty=empty: MACHINE.run(made._block, empty, b"\0", 1))
        for text in texts:
            program = field_image.assembled([("one", text, 0, 0)])
            call = lambda made=made, program=program: MACHINE.run(made._block, program, b"\0", 1)  # noqa: E731
            cells.append(counted(call) - base)
    return f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |"


def whole(name: str) -> str:
    """Return the row of the second table for a curve, in million instructions."""
    curve = CURVES[name]
    other = multiple(curve, 12345, curve.base)
    assert other is not None
    IMAGE.secret_multiples.multiply_base(curve, 1)
    calls = (
        lambda: IMAGE.multiples.combine(curve, curve.n * 2 // 3, curve.n * 3 // 7, other),
        lambda: field_image.inverse(curve.n // 3, curve.n),
        lambda: IMAGE.secret_multiples.multiply(curve, curve.n // 3, other),
        lambda: IMAGE.secret_multiples.multiply_base(curve, curve.n // 3),
    )
    return f"| {name} | " + " | ".join(f"{counted(call) / 1e6:.2f}" for call in calls) + " |"


@pytest.mark.parametrize("name", CURVES)
def test_the_page_has_the_counts_of_the_operations(name: str) -> None:
    assert operations(name) in (ROOT / "docs/field-machine.md").read_text(encoding="utf-8").splitlines()


def test_the_page_has_the_counts_of_multiplications_on_p256() -> None:
    assert whole("P-256") in (ROOT / "docs/field-machine.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.bench
def test_the_instructions_of_the_field_machine() -> None:
    print("\n| curve | product | sum | difference | product modulo n |")
    for name in CURVES:
        print(operations(name))
    print("\n| curve, million | u1 G + u2 Q | 1 / s | k Q | k G |")
    for name in CURVES:
        print(whole(name))
