"""The card beside the door is black, and can be read at one metre by people and by the camera of a phone."""

import re
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageChops

from protocol import crypto_cpython as crypto
from protocol import listing_code
from protocol.errors import VerificationError
from protocol.listing_code import ListingCode
from sim.board.interpreter import ROOT
from sim.paper.card import SMALL, Card, drawn
from sim.paper.font import Font, installed
from sim.province.placements import LINK
from tests.sim.paper.conftest import LISTING, PHONE, PLACE
from tests.support import camera

ONE_METRE = 78
"""Pixels per inch that a phone's camera sees at one metre: 4000 pixels for 1.3 m."""
MILLIMETRE = 72 / 25.4


def pictured(card: dict[str, bytes], kind: str, dpi: float) -> Image.Image:
    return camera.of_svg(card["svg"].decode(), dpi) if kind == "svg" else camera.of_pdf(card["pdf"], dpi)


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_an_independent_reader_finds_one_code_on_the_card_and_it_is_genuine(
    card: dict[str, bytes], folder: Path, kind: str
) -> None:
    [text] = camera.codes(pictured(card, kind, 150))
    code = listing_code.read(crypto, text, bytes.fromhex((folder / "key").read_text()))
    assert (code.listing, code.place, code.door) == (LISTING, PLACE, 1)
    with pytest.raises(VerificationError):
        listing_code.read(crypto, text, crypto.generate("P-256")[1])


@pytest.mark.parametrize("kind", ["svg", "pdf"])
@pytest.mark.parametrize(("degrees", "light", "blur"), [(0, 1, 0.5), (7, 0.5, 0.7), (-23, 0.35, 0.8), (94, 0.6, 0.8)])
def test_a_camera_at_one_metre_reads_the_code_from_a_card_that_is_turned_badly_lit_and_slightly_blurred(
    card: dict[str, bytes], kind: str, degrees: float, light: float, blur: float
) -> None:
    seen = camera.photographed(pictured(card, kind, ONE_METRE), degrees, light, blur)
    assert camera.codes(seen) == camera.codes(pictured(card, kind, 150)) != []


@pytest.mark.parametrize(("light", "blur"), [(0.5, 8.0), (0.0, 0.5)])
def test_a_picture_without_a_readable_code_gives_none(card: dict[str, bytes], light: float, blur: float) -> None:
    assert camera.codes(camera.photographed(pictured(card, "svg", ONE_METRE), 7, light, blur)) == []


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_the_card_is_black_on_white(card: dict[str, bytes], kind: str) -> None:
    red, green, blue = pictured(card, kind, 100).split()
    assert ImageChops.difference(red, green).getbbox() is None is ImageChops.difference(green, blue).getbbox()
    assert red.getextrema() == (0, 255)
    assert set(re.findall(r"#\w{6}", card["svg"].decode())) == {"#000000", "#ffffff"}


def test_both_files_show_the_same(card: dict[str, bytes]) -> None:
    one, other = (pictured(card, kind, 100).convert("L") for kind in ("svg", "pdf"))
    assert abs(one.width - other.width) <= 1 and abs(one.height - other.height) <= 1
    difference = ImageChops.difference(one, other.resize(one.size)).point(lambda level: 255 * (level > 160))
    share = difference.histogram()[255] / (one.width * one.height)
    assert share < 0.01, "only the edges of shapes differ"


def test_the_pdf_holds_every_word_as_text_in_an_embedded_font(card: dict[str, bytes]) -> None:
    with pypdfium2.PdfDocument(card["pdf"]) as document:
        said = document[0].get_textpage().get_text_range()
        texts = [each for each in document[0].get_objects() if isinstance(each, pypdfium2.PdfTextObj)]
        assert texts and all(each.get_font().is_embedded for each in texts)
    for word in (
        "刷手机入住",
        "Check in with your phone",
        "求助 Help",
        "扫码核验",
        "Scan to check",
        LISTING,
        PLACE,
        PHONE,
    ):
        assert word in said
    assert len(card["pdf"]) < 200_000, "only the letters that are used are embedded"


def test_every_word_of_the_svg_is_named_for_those_who_do_not_see_and_none_needs_a_font(card: dict[str, bytes]) -> None:
    svg = card["svg"].decode()
    named = re.findall(r'aria-label="([^"]+)"', svg)
    assert {"刷手机入住", "求助 Help", LISTING, PLACE, PHONE} <= set(named)
    assert "<text" not in svg and "url(" not in svg and "href" not in svg


def test_the_smallest_letters_are_seen_at_one_metre_under_sixteen_minutes_of_arc_or_more(
    card: dict[str, bytes],
) -> None:
    least = 1000 * 0.000291 * 16  # millimetres
    heights = {"capital": [], "chinese": []}  # type: dict[str, list[float]]
    with pypdfium2.PdfDocument(card["pdf"]) as document:
        page = document[0].get_textpage()
        for at, letter in enumerate(page.get_text_range()):
            if letter.isspace():
                continue
            _, bottom, _, top = page.get_charbox(at)
            if re.fullmatch(r"[A-Z0-9]", letter):
                heights["capital"].append((top - bottom) / MILLIMETRE)
            elif letter in "刷机住证靠读推求核源灵路":
                heights["chinese"].append((top - bottom) / MILLIMETRE)
    assert len(heights["capital"]) > 30 and len(heights["chinese"]) >= 10
    assert min(heights["capital"]) >= 5.0 > least
    assert min(heights["chinese"]) >= 7.0
    assert Font(installed()).capital * SMALL > 5.8, "and prefers 20 minutes: 5.8 mm"


@pytest.mark.parametrize("letters", [27, 48, 64])
def test_the_code_of_a_long_address_is_read_at_one_metre_as_well(letters: int) -> None:
    key, _ = crypto.generate("P-256")
    place = "West Lake Lane 12, room 302, third floor, ring at the blue door "[:letters].strip()
    text = listing_code.write(crypto, key, ListingCode(LISTING, place, 1, LINK, 1_795_000_000))
    svg = drawn(Card(text, LISTING, 1, place, PHONE), Font(installed())).svg()
    assert camera.codes(camera.photographed(camera.of_svg(svg, ONE_METRE), 7, 0.5, 0.7)) == [text]


def test_the_picture_in_the_documents_is_what_the_command_draws() -> None:
    kept = (ROOT / "docs/card.svg").read_text(encoding="utf-8")
    [text] = camera.codes(camera.of_svg(kept, 150))
    card = Card(text, LISTING, 1, PLACE, PHONE)
    assert drawn(card, Font(installed())).svg() == kept
