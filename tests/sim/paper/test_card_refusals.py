"""What the command `card` refuses, and what it says: a code, a sentence, and what to do. It then writes nothing."""

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import xor
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.ttLib import TTFont

from protocol.errors import ConfigError
from sim.paper.card import LARGE, SMALL, Card, drawn
from sim.paper.font import Font, installed
from sim.paper.sheet import Sheet, Text
from sim.province.__main__ import main
from tests.sim.paper.conftest import LISTING, PHONE, PLACE

LINE = re.compile(r"[a-z-]+\.[a-z]+: \S.*[.!?] \S.*[.!?]\n")
Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, folder: Path, tmp_path: Path, *changed: str) -> str:
    """Run the command with the arguments in `changed`. Check that the command fails as it should, and return the error
    code.
    """
    capsys.readouterr()
    options = {
        "--data": str(folder),
        "--listing": LISTING,
        "--phone": PHONE,
        "--svg": str(tmp_path / "card.svg"),
        "--pdf": str(tmp_path / "card.pdf"),
    }
    options |= dict(zip(changed[::2], changed[1::2], strict=True))
    arguments = [part for option, value in options.items() if value for part in (option, value)]
    assert main(["card", *arguments, "--json"]) == 2
    said = capsys.readouterr()
    assert LINE.fullmatch(said.err), said.err
    told = json.loads(said.out.splitlines()[-1])
    assert (told["ok"], told["exit_code"]) == (False, 2) and said.err.startswith(told["error"]["code"] + ": ")
    assert list(tmp_path.glob("card.*")) == []
    return str(told["error"]["code"])


@pytest.mark.parametrize(
    "phone",
    [
        "12",
        "+86 571 8765 4321 0000 1",
        "call me",
        "+",
        "++86 571",
        "110;",
        "0571--8765",
        " 110",
        "110 ",
        "１１０",
        "٣٤٥",
    ],
)
def test_what_is_no_phone_number_is_refused(capsys: Capture, folder: Path, tmp_path: Path, phone: str) -> None:
    assert refused(capsys, folder, tmp_path, "--phone", phone) == "card.phone"


@pytest.mark.parametrize("phone", ["110", "12345", "+4687654321", "0571-8765-4321", "+86 571 8765 43210 1"])
def test_a_phone_number_is_on_the_card_as_it_was_given(phone: str) -> None:
    sheet = drawn(Card("X", LISTING, 1, PLACE, phone), Font(installed()))
    [shown] = [item for item in sheet.items if isinstance(item, Text) and item.content == phone]
    assert SMALL <= shown.size <= LARGE


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (["--listing", "NO-SUCH"], "card.listing"),
        (["--door", "2"], "listing-code.door"),
        (["--door", "0"], "listing-code.door"),
        (["--link", "HTTP://X.EXAMPLE/"], "listing-code.form"),
        (["--svg", "", "--pdf", ""], "card.file"),
        (["--svg", "/nowhere/card.svg"], "file.folder"),
        (["--pdf", "/nowhere/card.pdf"], "file.folder"),
        (["--data", "/nowhere"], "province.data"),
        (["--font", "/nowhere/font.otf"], "card.font"),
        (["--font", __file__], "card.font"),
        (["--listing", "HZ-3"], "card.room"),
    ],
)
def test_what_people_can_mend_is_named(
    capsys: Capture, folder: Path, tmp_path: Path, changed: list[str], code: str
) -> None:
    assert refused(capsys, folder, tmp_path, *changed) == code


def test_a_machine_without_the_font_is_told_so(
    capsys: Capture, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pylopdf_fonts_zh_cn", None)
    assert refused(capsys, folder, tmp_path) == "card.font"


def changed(whole: bytes, place: int, *bits: int) -> bytes:
    """Return `whole` with these bits changed. The first of the changed bytes is at `place`."""
    return whole[:place] + bytes(map(xor, whole[place:], bits)) + whole[place + len(bits) :]


def damages(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield damaged forms of a font, and the name of each: cut short, with a changed bit, with a wrong directory."""
    tables = int.from_bytes(whole[4:6], "big")
    for at in range(12 + 16 * tables, len(whole), 41):
        yield f"cut at {at}", whole[:at]
        yield f"changed at {at}", changed(whole, at, 1 << at % 8)
    for at in range(0, 12 + 16 * tables, 5):
        yield f"cut at {at}", whole[:at]
    # The directory of tables has four numbers of 4 bytes for each table (OpenType 1.9).
    for table in range(tables):
        for number, name in enumerate(("tag", "checksum", "offset", "length")):
            for bits in ((0, 0, 0, 1), (0x7F, 0xFF, 0xFF, 0xFF)):
                yield f"{name} of table {table}", changed(whole, 12 + 16 * table + 4 * number, *bits)


def test_a_damaged_font_is_refused_unless_the_damage_changes_no_letter(tmp_path: Path) -> None:
    def used(file: Path) -> tuple[str, bytes]:
        sheet = Sheet(100, 100, "damage", "en", Font(file))
        sheet.text("abc", 10, 10, 8)
        return sheet.svg(), sheet.pdf(datetime(2026, 11, 30, tzinfo=UTC))

    whole = latin(tmp_path / "whole.otf")
    drawn_whole, refused = used(whole), 0
    for name, data in damages(whole.read_bytes()):
        (tmp_path / "damaged.otf").write_bytes(data)
        try:
            assert used(tmp_path / "damaged.otf") == drawn_whole, name
        except ConfigError as error:
            assert str(error).startswith("card.font: ") and len(str(error)) < 500, name
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("kind", [b"wOFF", b"wOF2", b"%!PS", b"\0\0\0\0", b""])
def test_another_kind_of_file_is_no_font(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "other").write_bytes(kind + bytes(100))
    with pytest.raises(ConfigError, match=r"^card\.font: "):
        Font(tmp_path / "other")


def test_a_device_that_never_ends_is_no_font() -> None:
    with pytest.raises(ConfigError, match=r"^card\.font: /dev/zero "):
        Font(Path("/dev/zero"))


def test_a_font_whose_letters_cannot_be_drawn_is_refused_when_they_are_drawn(tmp_path: Path) -> None:
    """The checksums of such a font are right. Its maker was wrong."""
    font = TTFont(latin(tmp_path / "latin.otf"), recalcBBoxes=False)
    outline = font["CFF "].cff.topDictIndex[0].CharStrings["letter97"]
    outline.bytecode, outline.program = b"\x0a\x0e", None  # a subroutine without a number
    font.save(tmp_path / "wrong.otf")
    wrong = Font(tmp_path / "wrong.otf")
    assert wrong.outline("b", 0, 0, 1) == ""
    sheet = Sheet(100, 100, "wrong", "en", wrong)
    sheet.text("ab", 10, 10, 8)
    for draw in (lambda: wrong.height("a"), sheet.svg, lambda: sheet.pdf(datetime(2026, 11, 30, tzinfo=UTC))):
        with pytest.raises(ConfigError, match=r"^card\.font: "):
            draw()


def latin(file: Path) -> Path:
    """Make a font that has no Chinese characters."""
    letters = {ord(letter): f"letter{ord(letter)}" for letter in "abc ABC"}
    builder = FontBuilder(1000, isTTF=False)
    builder.setupGlyphOrder([".notdef", *letters.values()])
    builder.setupCharacterMap(letters)
    blank = T2CharStringPen(500, None).getCharString()
    builder.setupCFF("Latin", {}, dict.fromkeys([".notdef", *letters.values()], blank), {})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *letters.values()], (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Latin", "styleName": "Regular"})
    builder.setupOS2(sCapHeight=700)
    builder.setupPost()
    builder.save(file)
    return file


def test_a_font_without_a_letter_of_the_card_is_refused_and_the_letter_named(
    capsys: Capture, folder: Path, tmp_path: Path
) -> None:
    assert refused(capsys, folder, tmp_path, "--font", str(latin(tmp_path / "latin.otf"))) == "card.font"
    with pytest.raises(ConfigError, match="has no character for 刷"):
        Font(tmp_path / "latin.otf").check("刷")
    Font(tmp_path / "latin.otf").check("Cab")


def test_an_address_is_broken_into_lines_and_no_letter_of_it_is_lost() -> None:
    font = Font(installed())
    for place in (
        PLACE,
        "West Lake Lane 12, room 302",
        "浙江省杭州市西湖区灵隐街道法云弄12号3幢2单元302室 Unit 302",
        "W" * 40,
    ):
        items = drawn(Card("X", LISTING, 1, place, PHONE), font).items
        texts = [item for item in items if isinstance(item, Text)]
        lines = texts[[item.content.startswith("门") for item in texts].index(True) + 1 :]
        assert "".join(item.content for item in lines).replace(" ", "") == place.replace(" ", "")
        assert all(item.x + font.width(item.content) * item.size <= 138.01 and item.y < 208 for item in lines)
