"""docs/where.md names files that exist. For each change, the page names at most eight files, each with a reason."""

import re

import pytest

from sim.board.interpreter import ROOT

PAGE = (ROOT / "docs/where.md").read_text(encoding="utf-8")
MOST = 8
"""Maximum number of files that one change may touch."""
CHANGES = (
    "Another reader chip",
    "Spain's profile",
    "A longer PIN",
    'An event "battery low"',
    "A topic for the health of locks",
    "A metric",
    "EdDSA",
    "A scenario with two doors",
    "An update over the air",
    "A desk",
    "PostgreSQL",
    "A board without a keypad",
)


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows in `text`, except the rows of headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = {at for at, line in enumerate(lines) if set(line) <= set("|- ")}
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for at, line in enumerate(lines)
        if at not in rules and at + 1 not in rules
    ]


def change(title: str) -> list[tuple[bool, str, str]]:
    """For each file that the change touches, return whether the file is new, its path, and the reason."""
    section = PAGE.split(f"### {title}\n")[1].split("\n##")[0]
    found = []
    for file, why in rows(section):
        named = re.fullmatch(r"(new: )?`([\w./-]+)`", file)
        assert named is not None, file
        found.append((named[1] is not None, named[2], why))
    return found


def test_the_page_has_exactly_these_changes() -> None:
    assert tuple(re.findall(r"^### (.+)$", PAGE, re.MULTILINE)) == CHANGES


@pytest.mark.parametrize("title", CHANGES)
def test_a_change_touches_few_files_and_each_is_there_with_a_word_on_why(title: str) -> None:
    files = change(title)
    assert 0 < len(files) <= MOST
    assert len({path for _, path, _ in files}) == len(files)
    for new, path, why in files:
        assert (ROOT / path).is_file() != new, path
        assert (ROOT / path).parent.is_dir(), path
        assert len(why.split()) >= 3, path


def test_every_file_and_folder_of_the_index_is_there() -> None:
    index = rows(PAGE.split("## Where things are\n")[1].split("\n## ")[0])
    assert len(index) > 30
    for question, places, *_ in index:
        named = re.findall(r"`([\w./-]+)`", places)
        assert named, question
        assert [place for place in named if not (ROOT / place).exists()] == []
