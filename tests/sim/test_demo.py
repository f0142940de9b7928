"""The output of `python -m sim demo`, read from a pipe."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise

import pytest
from rich.cells import cell_len

from protocol.errors import TransportError
from sim.__main__ import parser
from sim.board.bus import BoardEvent
from sim.board.interpreter import ROOT
from sim.demo import TO_DO, go_on_if_opened
from sim.hang import HANG_SECONDS
from sim.lock_console import ConsoleLine
from sim.phone.phone import TapOutcome
from sim.progress import WIDTH
from sim.scenarios.story import told
from sim.shown import Signal
from sim.tap import Tap
from sim.timeline import WHO
from sim.words import phrase

README = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
PICTURE = {"en": ROOT / "docs/demo.svg", "zh": ROOT / "docs/demo.zh.svg"}


@dataclass(frozen=True)
class Run:
    """The output of one run of the demo, and the picture that it drew."""

    language: str
    lines: list[str]
    picture: str


@pytest.fixture(scope="module", params=["en", "zh"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the demo in a Chinese locale, once for all tests here. The language is English only if `--lang` asks."""
    language, picture = request.param, tmp_path_factory.mktemp("demo") / "demo.svg"
    command = [sys.executable, "-m", "sim", "demo", "--svg", str(picture)]
    done = subprocess.run(
        command if language == "zh" else [*command, "--lang", "en"],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "zh_CN.UTF-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.stderr == ""
    return Run(language, done.stdout.splitlines(), picture.read_text(encoding="utf-8"))


SHOWN = {
    "en": ("the strike opens", "committed", "journal trimmed", "grant.none", "mdoc.digest", "14 promises held"),
    "zh": ("电锁扣打开", "入库", "登记流水区已清理", "grant.none", "mdoc.digest", "14 项承诺全部兑现"),
}


def test_the_demo_holds_what_it_shows_and_ends_by_itself(run: Run) -> None:
    for shown in SHOWN[run.language]:
        assert any(shown in line for line in run.lines), shown
    assert not any("✗" in line for line in run.lines)


def test_the_demo_speaks_the_language_of_the_locale_or_of_the_option(run: Run) -> None:
    told = [line for line in run.lines if re.search("[㐀-鿿]", line) and "郑志强" not in line]
    words = [line for line in run.lines if re.search("[a-z]{2,} [a-z]{2,} [a-z]{2,}", line)]
    assert bool(told) == (run.language == "zh") and bool(words) == (run.language == "en"), words
    # Codes, topics and the fields of a record are for programs too, and are the same in every language.
    for same in ("grant.none", "mooring/1/edge-1/receipt", "birth_date", "deviceMac"):
        assert any(same in line for line in run.lines), same


def test_a_language_that_is_not_spoken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert parser().parse_args(["demo", "--lang", "zh"]).lang == "zh"
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["demo", "--lang", "fr"])
    assert ended.value.code == 2 and "'fr'" in capsys.readouterr().err


def test_the_demo_tells_the_record_before_the_strike_and_no_time_runs_back(run: Run) -> None:
    in_flash, opening = {"en": ("durable in flash", "the strike opens"), "zh": ("已写进闪存", "电锁扣打开：")}[
        run.language
    ]
    [durable] = [at for at, line in enumerate(run.lines) if in_flash in line]
    [opens] = [at for at, line in enumerate(run.lines) if opening in line]
    assert durable < opens
    who = "|".join(name.said(run.language) for name in WHO.values())
    times = [int(found[1]) for line in run.lines if (found := re.match(rf" *(-?[0-9]+) │ (?:{who}) *│", line))]
    assert len(times) == 21 and times[0] == 0
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert not any(re.search(r"-[0-9.]+ (?:ms|s|毫秒|秒)", line) for line in run.lines)


def test_the_demo_fits_eighty_columns_and_cuts_nothing_off(run: Run) -> None:
    assert [line for line in run.lines if cell_len(line) > WIDTH] == []
    # An ellipsis stands for seconds that pass or for the rest of a hexadecimal number, never for words.
    stands = re.compile(r"    … .*[,，] ?[0-9]+ (?:s|秒)$|[0-9a-f]…|│ … (?:共 )?[0-9]+ [b字]")
    assert [line for line in run.lines if "…" in line and not stands.search(line)] == []


def test_no_line_begins_or_ends_with_punctuation_that_belongs_to_another(run: Run) -> None:
    cells = [cell.strip() for line in run.lines for cell in line.split("│")]
    assert [cell for cell in cells if re.match("[，。；：、！？）》」]", cell) or re.search("[（《「]$", cell)] == []


def test_the_demo_makes_no_promise_twice(run: Run) -> None:
    promises = [line for line in run.lines if "✓" in line]
    assert len(promises) > 10 and len(set(promises)) == len(promises)


def test_each_refused_guest_is_told_what_the_board_showed_them(run: Run) -> None:
    page = (ROOT / "docs/door-signals.md").read_text()
    rows = dict(re.findall(r"^\| `(refused_\w+)` \| (.+) \|$", page, re.MULTILINE))
    for signal, name in zip(TO_DO, ("refused_stay", "refused_document", "refused_phone"), strict=True):
        light, rhythm, tone, _, to_do = rows[name].split(" | ")
        assert (light, to_do) == (signal.colour, str(TO_DO[signal]))
        number = {1: "one", 2: "two", 3: "three"}[signal.times]
        assert rhythm == f"{number} long" and tone.endswith(f"({signal.hertz} Hz), {rhythm}")
    it_shows = phrase("it shows").said(run.language)
    shown = [line.split(it_shows)[1].strip() for line in run.lines if it_shows in line]
    assert shown == [Signal("red", 220, times).told().said(run.language) for times in (1, 2)]


def test_the_readme_shows_what_the_demo_prints(run: Run) -> None:
    def plain(line: str) -> str:
        return re.sub(r"[0-9]+(?:\.[0-9]+)?", "0", line.rstrip())

    [block] = re.findall(r"^```text\n(2  .*?)^```$", README[run.language].read_text(), re.DOTALL | re.MULTILINE)
    printed = [plain(line) for line in run.lines if not line.startswith("    …")]
    begins = printed.index(plain(block.splitlines()[0]))
    shown = [plain(line) for line in block.splitlines()]
    assert printed[begins : begins + len(shown)] == shown


def labels(picture: str) -> list[str]:
    """Return the words in a picture, without numbers and without the bytes of a record."""
    text = picture.replace("&#160;", " ")
    found = re.findall(r">([^<>]*(?:[a-z]{4}|[㐀-鿿])[^<>]*)</text>", text)
    return [re.sub(r"[0-9]+", "0", line) for line in found if not re.search(r"[0-9a-f]{8}", line)]


def test_the_picture_is_of_the_demo_and_fetches_nothing(run: Run) -> None:
    words = "".join(labels(run.picture))
    assert all(shown in words for shown in SHOWN[run.language][:3]) and "grant.none" not in words
    assert "url(http" not in run.picture and 'url("' not in run.picture


def by_party(picture: str, language: str) -> dict[str, list[str]]:
    """Return the lines in a picture, without numbers, spaces and the bytes of a record. The moments of each party are
    under the party's name, and all other lines under an empty name.
    """
    lines: dict[float, list[tuple[float, str]]] = {}
    place = re.compile(r'<text[^>]* x="([0-9.]+)" y="([0-9.]+)"[^>]*>([^<]*)</text>')
    for x, y, text in place.findall(picture.replace("&#160;", " ")):
        lines.setdefault(float(y), []).append((float(x), text))
    moment = re.compile(rf" *-?[0-9]+ *│ *({'|'.join(name.said(language) for name in WHO.values())}) *│(.*)")
    found: dict[str, list[str]] = {}
    who = ""
    for _, parts in sorted(lines.items()):
        line = "".join(text for _, text in sorted(parts))
        if new := moment.match(line):
            who, line = new.groups()
        elif not re.match(" *│ *│", line):  # otherwise, this line continues the line above
            who = ""
        if not re.search("[0-9a-f]{8}", line):
            found.setdefault(who, []).append(re.sub("[ ─━]+|[0-9]+(?:[.][0-9]+)?", "", line))
    return found


def test_the_picture_in_the_readme_tells_the_same_in_the_order_of_cause(run: Run) -> None:
    """The moments of one party cause each other, so their order is always the same. Moments of different parties are
    sorted by time, and the times differ from run to run. So only the moments of each party are compared.
    """
    committed = by_party(PICTURE[run.language].read_text(encoding="utf-8"), run.language)
    assert by_party(run.picture, run.language) == committed
    moments = [len(committed[name.said(run.language)]) for name in WHO.values()]
    assert min(moments) >= 1 and sum(moments) >= 21 and len(committed[""]) > 20


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
