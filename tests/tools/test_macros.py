"""Loops and macros become plain instructions of MicroPython's inline assembler."""

import pytest

from tools.macros import without_macros
from tools.software import sources

WORDS = b'''\
"""Macros."""
X = (s1, s2, s3)

def add_word(word, other):
    """Add."""
    add(X[word], X[word], other)
'''


def plain(body: str) -> list[str]:
    """Return the instructions of an assembler function with this body."""
    module = f"import micropython\nfrom room.words import X, add_word\n\n@micropython.asm_rv32\ndef run(a0):\n{body}"
    made = without_macros({"room/words.py": WORDS, "room/run.py": module.encode(), "room/other.py": b"X = 1\n"})
    assert set(made) == {"room/run.py", "room/other.py"} and made["room/other.py"] == b"X = 1\n"
    head, _, instructions = made["room/run.py"].decode().partition("def run(a0):\n")
    assert head == "import micropython\n\n@micropython.asm_rv32\n"
    return [line.strip() for line in instructions.splitlines() if "PAD" not in line]


def test_a_loop_repeats_its_body_and_an_expression_becomes_its_value() -> None:
    body = "    for j in range(1, 3):\n        lw(X[j - 1], (4 * j + 32)(a0))\n        addi(a0, a0, -j)\n"
    assert plain(body) == ["lw(s1, 36(a0))", "addi(a0, a0, -1)", "lw(s2, 40(a0))", "addi(a0, a0, -2)"]


def test_the_number_of_labels_is_never_a_multiple_of_four() -> None:
    for number in range(6):
        body = "".join(f"    label(_{each})\n" for each in range(number)) or "    li(a0, 0)\n"
        source = "@micropython.asm_rv32\ndef run(a0):\n" + body
        made = without_macros({"run.py": source.encode()})["run.py"].decode()
        assert made.count("label(") % 4 and made.count("label(_") == number


def test_a_macro_is_replaced_by_its_body_and_a_condition_by_the_part_that_is_taken() -> None:
    chosen = "        if j == 1:\n            add_word(j, t0)\n        else:\n            label(ONE)\n"
    body = "    for j in range(2):\n" + chosen
    assert plain(body) == ["label(ONE)", "add(s2, s2, t0)"]


@pytest.mark.parametrize("body", ["    while a0:\n        pass\n", "    x = 1\n", "    if a0:\n        mv(a0, a1)\n"])
def test_anything_else_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        plain(body)


def test_the_lock_gets_no_module_that_only_has_macros() -> None:
    made = sources()
    assert "firmware/crypto/field_words.py" not in made
    assert b"for " not in made["firmware/crypto/field_rv32.py"].partition(b"def run")[2]
