"""The pictures of the signals are those of the firmware's table, need no colours, and are on the guests' page."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from sim.__main__ import main
from sim.board.interpreter import ROOT
from sim.paper import sign_picture
from sim.paper.sign_picture import LEFT, LIGHT_TOP, SHOWN, UNIT, blocks, drawn
from sim.signs import Sign, signs
from tests.support import camera

SIGNS = signs()
GUESTS = (ROOT / "docs/guests.md").read_text(encoding="utf-8")
CHINESE = {1: "一", 2: "两", 3: "三", 6: "六"}
ENGLISH = {1: "one", 2: "two", 3: "three", 6: "six"}
MILLIMETRE = 100 / 25.4
"""Pixels in a millimetre, at 100 pixels per inch."""


def test_the_pictures_in_the_documents_are_those_that_the_command_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["signs", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made = {Path(file).name: Path(file).read_text(encoding="utf-8") for file in told["files"]}
    kept = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "docs/signs").iterdir()}
    assert made == kept and len(made) == len(SIGNS) == 11


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["signs", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("file.folder: FOLDER ")


def lit(picture: Image.Image) -> list[tuple[int, int]]:
    """Return the times, in units, in which the picture has a black frame around the line of the light."""
    edge = round(LIGHT_TOP * MILLIMETRE)
    levels = picture.crop((0, edge, picture.width, edge + 1)).tobytes()
    units = [levels[round((LEFT + unit * UNIT + UNIT / 2) * MILLIMETRE)] for unit in range(SHOWN)]
    black = "".join("#" if level < 60 else " " for level in units)
    return [(found.start(), found.end()) for found in re.finditer("#+", black)]


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_a_picture_without_its_colours_still_shows_the_rhythm(sign: Sign) -> None:
    assert lit(camera.of_svg(drawn(sign).svg(), 100).convert("L")) == blocks(sign.light, sign.name in sign_picture.ON)


def test_a_picture_tells_its_meaning_and_rhythm_to_those_who_do_not_see_it() -> None:
    titles = [re.findall("<title>(.+)</title>", drawn(sign).svg()) for sign in SIGNS]
    assert all(len(title) == 1 for title in titles) and len({title[0] for title in titles}) == len(SIGNS)
    assert "the door is open: light six short, tone six short" in [title[0] for title in titles]


def row(sign: Sign) -> list[str]:
    """Return the cells of the guests' page about `sign`: picture, Chinese, English."""
    [line] = [line for line in GUESTS.splitlines() if f"(signs/{sign.name}.svg)" in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_the_guests_page_says_each_signal_in_both_languages_with_its_rhythm(sign: Sign) -> None:
    picture, chinese, english = row(sign)
    assert re.match(r"!\[.+ · .+\]", picture), "words for those who do not see the picture"
    assert re.match(r"\*\*[⺀-￯ A-Z]+。\*\*", chinese) and re.match(r"\*\*[A-Z][a-z ]+\.\*\*", english)
    runs = re.findall(r"\.+|-+", sign.light)
    for run in runs if sign.name != "obstructed" else []:
        assert CHINESE[len(run)] + ("长" if run[0] == "-" else "短") in chinese
        assert f"{ENGLISH[len(run)]} {'long' if run[0] == '-' else 'short'}" in english.lower()


def test_the_guests_page_has_no_codes_and_speaks_of_every_signal() -> None:
    assert re.findall(r"`[^`]*[a-z][^`]*`", GUESTS) == [], "names and error codes are for hosts"
    assert set(re.findall(r"signs/(\w+)\.svg", GUESTS)) == {sign.name for sign in SIGNS}
    hosts = (ROOT / "docs/door-signals.md").read_text(encoding="utf-8")
    assert "(guests.md)" in hosts and "for hosts and installers" in hosts.splitlines()[0]
