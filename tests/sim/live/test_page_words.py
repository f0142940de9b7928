"""The live page's files: both languages say the same, nothing is loaded from elsewhere, and data is never markup."""

import json
import re
from pathlib import Path

import pytest

from sim.board.interpreter import ROOT
from sim.signs import signs

PAGE = ROOT / "sim/live/page"
SCRIPTS = sorted(PAGE.glob("*.js"))
MARKUP = (PAGE / "index.html").read_text(encoding="utf-8")
CODE = "\n".join(file.read_text(encoding="utf-8") for file in SCRIPTS)

_LITERAL = re.compile(r"""(?:say|knows)\(\s*["']([\w.-]+)["']|data-(?:words|label)="([\w.-]+)\"""")
_BUILT = re.compile(r"`([a-z]+\.[a-z.-]*)\$\{")


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((PAGE / f"words.{language}.json").read_text(encoding="utf-8"))
    return found


def signals() -> list[str]:
    return [sign.name for sign in signs()]


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    english, chinese = words("en"), words("zh")
    assert list(english) == list(chinese)
    values = re.compile(r"\{\w+\}")
    assert [key for key in english if set(values.findall(english[key])) != set(values.findall(chinese[key]))] == []
    assert [key for key, text in chinese.items() if not text or (text == english[key] and text != "MQTT")] == []


def test_every_word_that_the_page_uses_exists_and_every_word_is_used() -> None:
    known = set(words("en"))
    literal = {key for pair in _LITERAL.findall(MARKUP + CODE) for key in pair if key}
    literal |= {key for key in known if f'"{key}"' in CODE}
    built = {prefix for prefix in _BUILT.findall(CODE) if any(key.startswith(prefix) for key in known)}
    assert len(literal) > 40 and len(built) > 8
    assert literal - known == set()
    assert {key for key in known - literal if not key.startswith(tuple(built))} == set()


def test_every_signal_of_the_door_has_a_word_and_a_sign() -> None:
    names = signals()
    assert len(names) > 8
    assert [name for name in names if f"signal.{name}" not in words("en")] == []
    assert [name for name in names if f'id="g-{name}"' not in MARKUP] == []


def test_every_field_that_the_province_registers_has_a_word() -> None:
    profile = json.loads((ROOT / "protocol/profiles/cn.json").read_text(encoding="utf-8"))
    fields = {*profile["fields"]["resident"], *profile["fields"]["foreign"], *profile["minors"]["fields"]}
    assert len(fields) > 8
    assert [name for name in sorted(fields) if f"element.{name}" not in words("zh")] == []


def test_every_sign_that_the_page_draws_is_in_its_markup() -> None:
    drawn = set(re.findall(r'href="#([\w-]+)"', MARKUP)) | {"i-" + name for name in re.findall(r'icon\("(\w+)"', CODE)}
    assert len(drawn) > 10
    assert [name for name in sorted(drawn) if name != "main" and f'id="{name}"' not in MARKUP] == []


def test_every_module_and_style_that_the_page_names_is_a_file_of_it() -> None:
    named = set(re.findall(r'"/page/([\w.]+)"', MARKUP + CODE))
    assert named >= {"main.js", "base.css", "dom.js"}
    assert [name for name in named if not (PAGE / name).is_file()] == []
    assert {file.name for file in [*SCRIPTS, *PAGE.glob("*.css")]} - named == set()


@pytest.mark.parametrize("file", sorted(PAGE.iterdir()), ids=lambda file: file.name)
def test_no_file_of_the_page_names_a_place_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    places = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[\w./]*|\burl\(|@import", text))
    assert places - {"http://www.w3.org/2000/svg"} == set()


def test_the_page_makes_no_markup_from_data_and_runs_no_code_from_text() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser"
    assert re.findall(forbidden, CODE) == []
    # The content security policy forbids such markup, so this markup would silently do nothing.
    assert re.findall(r"<style|<script(?! type=\"module\" src=)|\sstyle=|\son\w+=", MARKUP) == []
    assert re.findall(r'setAttribute\("(?:style|on\w+)"', CODE) == []


def test_every_file_of_the_page_fits_in_one_sitting() -> None:
    code = [*SCRIPTS, PAGE / "index.html"]
    assert {file.name: n for file in code if (n := len(file.read_text(encoding="utf-8").splitlines())) > 300} == {}
