"""docs/door-rules.md is complete. Each row names tests that exist, and every reason for a refusal is listed."""

import ast
import re

from firmware.door import policy
from sim.board.interpreter import ROOT

PAGE = (ROOT / "docs" / "door-rules.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """Look for every table whose last column is "tests". Return the cells of each row of these tables."""
    found: list[list[str]] = []
    inside = False
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-1] == "tests":
            inside = True
        elif inside and not set(line) <= set("|- "):
            found.append(cells)
    return found


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def all_tests() -> set[str]:
    return {name for path in (ROOT / "tests").rglob("test_*.py") for name in functions_of(str(path.relative_to(ROOT)))}


def named() -> set[str]:
    return {name for row in rows() for name in re.findall(r"`(test_\w+)`", row[-1])}


def test_every_row_of_the_rules_names_tests_and_all_of_them_exist() -> None:
    assert len(rows()) > 40
    for row in rows():
        assert re.fullmatch(r"`test_\w+`(, `test_\w+`)*", row[-1]), row
    assert named() <= all_tests(), sorted(named() - all_tests())


def test_every_test_of_the_policy_stands_in_a_row() -> None:
    assert functions_of("tests/firmware/door/test_policy.py") <= named()


def test_every_reason_that_the_rules_have_stands_on_the_page() -> None:
    raised: set[str] = set()
    for path in ("firmware/door/policy.py", "firmware/memory/stays.py"):
        source = (ROOT / path).read_text(encoding="utf-8")
        raised |= set(re.findall(r'RefusedError\(\s*"([a-z]+\.[a-z_]+)"', source))
    raised |= set(policy._REASONS)
    assert len(raised) > 12
    missing = {code for code in raised if f"`{code}`" not in PAGE}
    assert not missing


def test_the_page_has_the_reasons_in_the_order_in_which_the_rules_are_checked() -> None:
    table = PAGE.split("## Each claim under each stay")[1].split("\n## ")[0]
    cells = [line.split("|")[3] for line in table.splitlines() if re.match(r"\| \d+ \|", line)]
    codes = [code for cell in cells for code in re.findall(r"`([a-z-]+\.[a-z_]+)`", cell)]
    assert set(codes) == set(policy._REASONS)
    order = [policy._REASONS.index(code) for code in codes if not code.startswith("door.")]
    assert order == sorted(order)
