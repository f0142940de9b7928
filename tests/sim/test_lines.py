"""Text is broken into lines, and drawn, so that English and Chinese stay in their columns."""

import html
import io
import re
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from sim import picture
from sim.lines import Lines, broken
from sim.progress import Progress, console
from sim.words import Phrase
from sim.words.zh import ZH

COLUMN = 12.2


def test_english_is_broken_between_words_and_a_word_that_is_too_long_is_cut() -> None:
    assert list(broken("the record is sealed", 10)) == ["the record", "is sealed"]
    assert list(broken("to mooring/1/edge-1/receipt now", 12)) == ["to", "mooring/1/ed", "ge-1/receipt", "now"]
    assert list(broken("one\n\ntwo", 10)) == ["one", "", "two"]


def test_chinese_is_broken_between_characters_and_punctuation_stays_with_its_word() -> None:
    assert list(broken("门锁已经打开，请推门", 12)) == ["门锁已经打", "开，请推门"]
    assert list(broken("登记（已封装）入库", 6)) == ["登记", "（已封", "装）入", "库"]
    assert list(broken("经 BLE 收到记录", 8)) == ["经 BLE", "收到记录"]


@pytest.mark.parametrize("width", [20, 31, 48, 78])
def test_every_chinese_text_fits_and_loses_nothing(width: int) -> None:
    for text in ZH.values():
        lines = list(broken(text, width))
        assert max(map(cell_len, lines)) <= width
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
        assert not any(re.match("[，。；：、！？）》」]", line) for line in lines[1:]), lines


def test_a_table_breaks_its_cells_in_the_same_way_and_reads_no_markup() -> None:
    shown = Console(file=io.StringIO(), width=20)
    table = Table(box=None, show_header=False, padding=0)
    table.add_row(Lines("门锁[red]已打开，请推门", indent=2))
    shown.print(table)
    assert isinstance(shown.file, io.StringIO)
    assert [line.rstrip() for line in shown.file.getvalue().splitlines()] == ["  门锁[red]已打开，", "  请推门"]


def test_in_the_picture_a_chinese_character_is_two_columns_wide() -> None:
    shown = Console(record=True, file=io.StringIO(), width=40)
    line = "│ 门锁: <strike> 打开，1760 Hz │ ok"
    shown.print(line, highlight=False, markup=False)
    found = re.findall(r'x="([0-9.]+)" y="20" textLength="([0-9.]+)"[^>]*>([^<]*)</text>', picture.drawn(shown, "t"))
    texts = [(float(x), float(length), html.unescape(text).replace("\xa0", " ")) for x, length, text in found]
    assert "".join(text for _, _, text in texts) == line
    assert len(texts) > 3
    at = 0
    for x, length, text in texts:
        assert x == pytest.approx(at * COLUMN) and length == pytest.approx(cell_len(text) * COLUMN)
        at += cell_len(text)


def test_a_terminal_that_lacks_a_character_gets_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="gbk"))
    with Progress(console(), language="zh") as progress:
        progress.say(Phrase("✓ {claim}", {"claim": "断网时，门照样打开：Håkansson"}))
    sys.stdout.flush()
    assert written.getvalue().decode("gbk").strip() == "? 断网时，门照样打开：H?kansson"
