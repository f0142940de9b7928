"""The output of `python -m sim demo`, read from a pipe."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len

from protocol.errors import TransportError
from sim.board.bus import BoardEvent
from sim.board.interpreter import ROOT
from sim.demo import TO_DO, go_on_if_opened
from sim.lock_console import ConsoleLine
from sim.phone.phone import TapOutcome
from sim.progress import WIDTH
from sim.scenarios.story import told
from sim.shown import Signal
from sim.tap import Tap


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the output and the picture of one run of the demo, for all tests here."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "sim", "demo", "--lang", "en", "--svg", str(folder / "demo.svg")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.stderr == ""
    (folder / "out").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[str]:
    return (folder / "out").read_text().splitlines()


def test_the_demo_holds_what_it_shows_and_ends_by_itself(lines: list[str]) -> None:
    for shown in ("the strike opens", "committed", "journal trimmed", "grant.none", "mdoc.digest", "promises held"):
        assert any(shown in line for line in lines), shown
    assert not any("✗" in line for line in lines)


def test_the_demo_tells_the_record_before_the_strike_and_no_time_runs_back(lines: list[str]) -> None:
    [durable] = [at for at, line in enumerate(lines) if "durable in flash" in line]
    [opens] = [at for at, line in enumerate(lines) if "the strike opens" in line]
    assert durable < opens
    times = [
        int(found[1]) for line in lines if (found := re.match(r" *(-?[0-9]+) │ (?:phone|lock|edge|MQTT|prov)", line))
    ]
    assert len(times) == 21 and times[0] == 0
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert not any(re.search(r"-[0-9.]+ (?:ms|s)\b", line) for line in lines)


def test_the_demo_fits_eighty_columns_and_cuts_nothing_off(lines: list[str]) -> None:
    assert [line for line in lines if cell_len(line) > WIDTH] == []
    # An ellipsis stands for seconds that pass or for the rest of a hexadecimal number, never for words.
    assert [
        line for line in lines if "…" in line and not re.search(r"    … .*, [0-9]+ s$|[0-9a-f]…|│ … [0-9]+ b", line)
    ] == []


def test_the_demo_makes_no_promise_twice(lines: list[str]) -> None:
    promises = [line for line in lines if "✓" in line]
    assert len(promises) > 10 and len(set(promises)) == len(promises)


def test_each_refused_guest_is_told_what_the_board_showed_them(lines: list[str]) -> None:
    page = (ROOT / "docs/door-signals.md").read_text()
    rows = dict(re.findall(r"^\| `(refused_\w+)` \| (.+) \|$", page, re.MULTILINE))
    for signal, name in zip(TO_DO, ("refused_stay", "refused_document", "refused_phone"), strict=True):
        light, rhythm, tone, _, to_do = rows[name].split(" | ")
        assert (light, to_do) == (signal.colour, str(TO_DO[signal]))
        number = {1: "one", 2: "two", 3: "three"}[signal.times]
        assert rhythm == f"{number} long" and tone.endswith(f"({signal.hertz} Hz), {rhythm}")
    shown = [line.split("it shows")[1].strip() for line in lines if "it shows" in line]
    assert shown == [str(Signal("red", 220, 1)), str(Signal("red", 220, 2))]


def test_the_readme_shows_what_the_demo_prints(lines: list[str]) -> None:
    def plain(line: str) -> str:
        return re.sub(r"[0-9]+(?:\.[0-9]+)?", "0", line.rstrip())

    [block] = re.findall(r"^```text\n(2  .*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    printed = [plain(line) for line in lines if not line.startswith("    …")]
    begins = printed.index(plain(block.splitlines()[0]))
    shown = [plain(line) for line in block.splitlines()]
    assert printed[begins : begins + len(shown)] == shown


def test_the_picture_is_of_the_demo_and_fetches_nothing(folder: Path) -> None:
    drawn = (folder / "demo.svg").read_text()
    text = drawn.replace("&#160;", " ")
    assert "the strike opens" in text and "that only the province can open" in text and "grant.none" not in text
    assert "url(http" not in drawn and 'url("' not in drawn
    # The picture in the README has the same lines, with other numbers.
    kept = (ROOT / "docs/demo.svg").read_text().replace("&#160;", " ")
    words = [re.findall(r">([^<>]*[a-z]{4}[^<>]*)</text>", one) for one in (text, kept)]
    known = [[re.sub(r"[0-9]+", "0", line) for line in found if not re.search(r"[0-9a-f]{8}", line)] for found in words]
    assert known[0] == known[1]


def test_the_demo_waits_for_no_record_of_a_guest_who_was_not_let_in() -> None:
    moved = BoardEvent(0.0, 0, {})
    go_on_if_opened(Tap(TapOutcome("presented"), 0.0, [], moved))
    refused = ConsoleLine(0.0, 0, "tap.failed", {"error": "MemoryError"})
    with pytest.raises(TransportError, match=r"site\.shut: .*not let in, MemoryError"):
        go_on_if_opened(Tap(TapOutcome("presented"), 0.0, [refused]))


def test_what_went_wrong_names_no_folder_that_is_gone_when_it_is_read() -> None:
    problem = TransportError("site.waited", "a record: not within 300 s; see /tmp/somewhere")
    assert told(problem, kept=True) == "site.waited: a record: not within 300 s; see /tmp/somewhere"
    assert told(problem, kept=False) == "site.waited: a record: not within 300 s"
