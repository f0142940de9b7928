"""In an emulator, the assembler of the field machine agrees with Python's integers and with the same programs in
Python.
"""

import ast
import os
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from firmware import crypto
from firmware.crypto import field, field_complete, formulas, multiples
from tests.support import field_programs
from tests.support.machine import MACHINE, of_image
from tests.support.plain_curve import CURVES, multiple

IMAGE = of_image()
field_image = IMAGE.field_image
KINDS = pytest.mark.parametrize("kind", [multiples, IMAGE.multiples], ids=["python", "machine"])

COMPLETE = bool(os.environ.get("MOORING_MACHINE"))
EXAMPLES = 300 if COMPLETE else 12

MODULI = [(curve.size, modulus) for curve in CURVES.values() for modulus in (curve.p, curve.n)]
CURVE = st.sampled_from(list(CURVES.values()))


def raw(made: Any, slot: int) -> int:
    place = made._place(slot)
    return int.from_bytes(made._block[place : place + made._width], "little")


@st.composite
def numbers(draw: st.DrawFn, modulus: int) -> int:
    """Draw a number below `modulus`: any number, a number near an end, or a number in which a carry runs through many
    words.
    """
    radix = 1 << (modulus.bit_length() + 31) // 32 * 32
    edges = [0, 1, 2, modulus - 1, modulus - 2, radix % modulus, (radix - 1) % modulus, radix * radix % modulus]
    words = st.lists(st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]), min_size=17, max_size=17)
    patterns = words.map(lambda each: sum(word << 32 * place for place, word in enumerate(each)) % modulus)
    return draw(st.one_of(st.sampled_from(edges), patterns, st.integers(0, modulus - 1)))


@pytest.mark.parametrize(("size", "modulus"), MODULI)
@settings(max_examples=EXAMPLES, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.data())
def test_each_operation_is_that_of_the_integers(size: int, modulus: int, data: st.DataObject) -> None:
    a, b = data.draw(numbers(modulus)), data.draw(numbers(modulus))
    made = field_image.Field(modulus, size, 27)
    made._write(1, a)
    made._write(2, b)
    program = field_image.assembled([("all", b"CA*BDA+BEA-BGA*AHB-B", 0, 0)])
    MACHINE.run(made._block, program, b"\0", 1)
    radix = pow(1 << 8 * made._width, -1, modulus)
    expected = [a * b * radix % modulus, (a + b) % modulus, (a - b) % modulus, a * a * radix % modulus, 0]
    assert [raw(made, slot) for slot in (3, 4, 5, 7, 8)] == expected
    assert (raw(made, 1), raw(made, 2)) == (a, b)


@pytest.mark.parametrize(("size", "modulus"), [each for each in MODULI if each[0] != 66])
def test_a_carry_that_waits_runs_through_all_upper_words(size: int, modulus: int) -> None:
    """Before p is subtracted, the products here are just above R or just below R. Random products are not, and modulo
    the numbers of P-521 no product is.
    """
    made = field_image.Field(modulus, size, 27)
    radix = 1 << 8 * made._width
    program = field_image.assembled([("product", b"CA*B", 0, 0)])
    tried = 0
    for words in (1, 2, 3, 4, 6):
        for offset in (1 << 32 * words) // 7, (1 << 32 * words) - 1, -1, -(1 << 32 * words) // 5:
            total = radix + offset
            for a in range(modulus - 1, modulus - 5, -1):
                # The product is (a b + q p) / R, with q below R.
                q = total * radix * pow(modulus, -1, a) % a
                q += (radix - 1 - q) // a * a
                b = (total * radix - q * modulus) // a
                if not 0 <= b < modulus:
                    continue
                tried += 1
                made._write(1, a)
                made._write(2, b)
                MACHINE.run(made._block, program, b"\0", 1)
                assert raw(made, 3) == total % modulus
    assert tried > 50


# A program may use these slots. W is missing, because `put` and `get` use it. Q is missing, because only `3` uses it.
SLOTS = st.sampled_from("ABCDEGHTUVXYZ")
INSTRUCTIONS = st.one_of(
    st.tuples(SLOTS, SLOTS, st.sampled_from("*+-?"), SLOTS), st.tuples(SLOTS, SLOTS, st.just("3"), st.just("Q"))
).map("".join)


@settings(max_examples=EXAMPLES, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(CURVE, st.lists(INSTRUCTIONS, min_size=1, max_size=30), st.booleans(), st.data())
def test_any_program_gives_the_same_on_the_machine_and_in_python(
    curve: Any, instructions: list[str], minus: bool, data: st.DataObject
) -> None:
    text = "".join(instructions).encode()
    made = field_image.Field(curve.p, curve.size, 27)
    twin = [0] * 27
    slots = [slot for slot in (*range(1, 6), 7, 8, *range(20, 27)) if slot != 23]
    for slot in slots:
        twin[slot] = data.draw(numbers(curve.p))
        made.put(slot, twin[slot])
    names: dict[str, Any] = {}
    exec(field_programs.as_python("it", text, 0, 0), names)
    names["_it"](twin, curve.p, minus, 1)
    MACHINE.run(made._block, field_image.assembled([("it", text, 0, 0)]), bytes([16 * minus]), 1)
    assert [made.get(slot) for slot in slots] == [twin[slot] % curve.p for slot in slots]


@pytest.mark.parametrize(
    ("module", "routines", "table"),
    [
        (field, formulas.FAST, field._FAST),
        (field, formulas.TABLE[:3], field._TABLE),
        (field_complete, formulas.COMPLETE, field_complete.COMPLETE),
    ],
)
def test_the_functions_in_python_are_the_programs(module: Any, routines: Any, table: Any) -> None:
    """In Python, the entries of a point are affine. So there is no function for Jacobian entries."""
    assert module.__file__ is not None
    with open(module.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    written = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    texts = {routine[0]: routine[1] for routine in routines}
    for (name, _, start, count), (function, own_start, own_count) in zip(routines, table, strict=True):
        if count == 5:
            name, count = name + "_affine", 2
        assert written["_" + name] == ast.unparse(ast.parse(field_programs.as_python(name, texts[name], start, count)))
        assert (function.__name__, own_start, own_count) == ("_" + name, start, count)


@settings(max_examples=EXAMPLES, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(CURVE, st.integers(3, 6), st.data())
def test_the_machine_writes_the_steps_of_a_scalar_like_the_functions_in_python(
    curve: Any, width: int, data: st.DataObject
) -> None:
    bits = data.draw(numbers(curve.n)).to_bytes(curve.size + 2, "little")
    place = 3 * (8 * curve.size + 1) - data.draw(st.integers(1, 2))
    shape = bytes((width, 0x40, place & 255, place >> 8))
    made, twin = (bytearray(b"\x00\xff\xff" * (8 * curve.size + 1)) for _ in range(2))
    MACHINE.write_windows(made, bits, 8 * curve.size, shape)
    field.write_windows(twin, bits, 8 * curve.size, shape)
    assert made == twin
    spacing = data.draw(st.integers(2, 113))
    window = (4, 4, 1, 5, 0x40, curve.size * 2, 7, 1), (4, 4, 1, 5, 0x20, curve.size * 2, 15, 0)
    comb = (5, 1, spacing, 2, 0xA0, min(spacing, 8 * curve.size - 4 * spacing), 15, 1)
    for each in (*window, *([comb] if comb[5] > 0 else [])):
        made, twin = (bytearray(each[3] * each[5]) for _ in range(2))
        MACHINE.write_digits(made, bits, len(made) - 1, bytes(each))
        field.write_digits(twin, bits, len(twin) - 1, bytes(each))
        assert made == twin


@pytest.mark.parametrize("name", CURVES)
def test_the_machine_multiplies_points_also_where_they_collide(name: str) -> None:
    curve = CURVES[name]
    n = curve.n
    other = multiple(curve, n - 2, curve.base)
    assert other is not None
    for u1, u2 in [(0, 0), (0, 1), (2, 1), (1, 1), (n // 3, n // 5 * 4)]:
        result = IMAGE.multiples.combine(curve, u1, u2, other)
        expected = multiple(curve, (u1 + u2 * (n - 2)) % n, curve.base)
        assert (multiples.affine(curve, [result])[0] if result[2] else None) == expected
    assert type(IMAGE.multiples.prepare(curve)) is field_image.Field


@KINDS
@pytest.mark.parametrize("name", CURVES)
def test_an_addition_of_equal_or_opposite_points_is_noticed_because_its_result_is_wrong(name: str, kind: Any) -> None:
    """All scripts start with G. The first adds 3 G. The second adds G. The third adds -G, and then 3 G."""
    curve = CURVES[name]
    made = kind.prepare(curve)
    made.put(18, 1)
    assert made.run(b"\x60\x21")
    assert kind.affine(curve, [made.result()]) == [multiple(curve, 4, curve.base)]
    assert not made.run(b"\x60\x20") and not made.get(26)
    assert not made.run(b"\x60\x30\x21")
    assert not made.get(26) or kind.affine(curve, [made.result()]) != [multiple(curve, 3, curve.base)]
    opposite = (curve.base[0], curve.p - curve.base[1])
    assert kind.affine(curve, [kind.combine(curve, 1, 1, curve.base)]) == [multiple(curve, 2, curve.base)]
    assert kind.combine(curve, 1, 1, opposite)[2] == 0
    # The sum is 2^8 G - 2^8 G + 3 G. After the first two terms, the sum is infinite.
    assert kind.affine(curve, [kind.combine(curve, 259, 256, opposite)]) == [multiple(curve, 3, curve.base)]


@pytest.mark.parametrize("name", CURVES if COMPLETE else ["P-256"])
def test_the_instructions_that_a_secret_takes_do_not_depend_on_it(name: str) -> None:
    curve = CURVES[name]
    IMAGE.secret_multiples.multiply_base(curve, 1)
    traces = []
    for scalar in (1 << 64, curve.n - (1 << 64), curve.n // 3)[not COMPLETE :]:
        MACHINE.trace = []
        assert IMAGE.secret_multiples.multiply_base(curve, scalar) == multiple(curve, scalar, curve.base)
        assert IMAGE.secret_multiples.multiply(curve, scalar, curve.base) == multiple(curve, scalar, curve.base)
        traces.append(MACHINE.trace)
        MACHINE.trace = None
    assert traces[0] == traces[1] == traces[-1] and len(traces[0]) > 50_000


def test_nothing_of_a_secret_stays_in_the_block() -> None:
    curve = CURVES["P-256"]
    made = IMAGE.multiples.prepare(curve)
    fresh = field_image.Field(curve.p, curve.size)
    IMAGE.secret_multiples.multiply(curve, 0x1234567 << 200, curve.base)
    end = fresh._place(72)
    assert made._block[16:end] == fresh._block[16:end]


@given(CURVE, st.integers(1))
@settings(max_examples=5, deadline=None)
def test_the_machine_inverts(curve: Any, number: int) -> None:
    for modulus in (curve.p, curve.n):
        made = field_image.Field(modulus, curve.size, 42)
        assert made.invert(number % modulus) == (pow(number, -1, modulus) if number % modulus else 0)


def test_our_own_image_verifies_and_signs_with_the_machine() -> None:
    private, public = IMAGE.crypto.generate("P-256")
    signature = crypto.sign(private, b"message")
    MACHINE.count = 0
    assert IMAGE.crypto.verify("P-256", public, "SHA-256", b"message", signature)
    assert 2_000_000 < MACHINE.count < 5_000_000
    MACHINE.count = None
    assert not IMAGE.crypto.verify("P-256", public, "SHA-256", b"massage", signature)
    assert crypto.verify("P-256", public, "SHA-256", b"message", IMAGE.crypto.sign(private, b"message"))
    other = crypto.generate("P-256")
    assert IMAGE.crypto.ecdh("P-256", private, other[1]) == crypto.ecdh("P-256", other[0], public)
