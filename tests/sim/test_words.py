"""Each text that the simulator shows to people has a Chinese translation with the same fields."""

import ast
import re
from collections.abc import Iterator
from string import Formatter

import pytest

from sim.words import LANGUAGES, Phrase, of_locale, phrase
from sim.words.zh import ZH
from tests.support.sources import name, sources

PLACES = {"phrase": 0, "promise": 0, "let_in": 1, "refused": 1, "story": 1}
"""Some functions take the text of a phrase. This map has the place of the text among the arguments of each function."""


def literals(node: ast.expr) -> list[str]:
    """Return the texts that `node` may have. For a variable, nothing is returned, because the variable's text is found
    where the text was made.
    """
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def calls() -> Iterator[tuple[str, ast.Call, ast.expr]]:
    """Yield the file, the call and the argument with the text, for every phrase of the simulator."""
    for file in sources("sim"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call):
                called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                if called in PLACES and len(call.args) > PLACES[called]:
                    yield name(file), call, call.args[PLACES[called]]


TEXTS = {text: file for file, _, node in calls() for text in literals(node)}


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


def words(text: str) -> str:
    """Return the text without its fields."""
    return "".join(literal for literal, _, _, _ in Formatter().parse(text))


def test_every_text_for_people_is_there_in_chinese_and_every_translation_is_used() -> None:
    said = {text for text in TEXTS if re.search(r"[a-z]{2}", words(text))}
    assert len(said) > 250
    assert [(TEXTS[text], text) for text in said - ZH.keys()] == []
    assert ZH.keys() - TEXTS.keys() == set()


def test_no_text_is_put_together_at_run_time() -> None:
    """A text with values in it would have no translation. Its values are fields."""
    assert [(file, ast.unparse(node)) for file, _, node in calls() if isinstance(node, ast.JoinedStr | ast.BinOp)] == []


def test_each_text_is_given_its_fields() -> None:
    wrong = [
        (file, text)
        for file, call, node in calls()
        for text in literals(node)
        if {each.arg for each in call.keywords} != fields(text) and ast.unparse(call.func) != "story"
    ]
    # The phrases of the lock's moments get the facts of a console line (`Phrase.of`).
    assert [one for one in wrong if one[0] != "sim/timeline.py"] == []
    assert 0 < len(wrong) < 10


def test_no_translation_is_given_twice() -> None:
    """If two files translated the same text, one of the translations would not be used."""
    keys = [
        ast.unparse(key)
        for file in sources("sim/words/zh")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if key is not None
    ]
    assert len(keys) == len(ZH)


NAMES = {"Token Status List", "West Lake"}
"""Names of more than one word that stay the same in a Chinese text."""


def faults(english: str, chinese: str) -> Iterator[str]:
    """Yield what is wrong with a translation."""
    text = re.sub("|".join(NAMES), "", words(chinese))
    if fields(chinese) != fields(english):
        yield "has other fields"
    if re.search(r"[A-Za-z]+ [a-z]{2,}", text):
        yield "has English in it"
    if re.search(r"[a-z]{3}", words(english)) and not re.search("[㐀-鿿]", text):
        yield "is not translated"
    if re.search(r"[㐀-鿿] ?[,;:?!]|[㐀-鿿]\.|\([㐀-鿿]", text):
        yield "has punctuation that is not Chinese"


def test_a_translation_has_the_same_fields_no_english_and_the_punctuation_of_chinese() -> None:
    assert {english: found for english, chinese in ZH.items() if (found := list(faults(english, chinese)))} == {}
    assert list(faults("{n} records of {who}", "{n} 条记录")) == ["has other fields"]
    assert list(faults("the strike opens", "the strike opens")) == ["has English in it", "is not translated"]
    assert list(faults("the strike opens", "电锁扣 opens now")) == ["has English in it"]
    assert list(faults("no, not yet", "不, 还没有")) == ["has punctuation that is not Chinese"]


def test_a_number_has_its_noun_in_english_and_a_field_may_be_a_phrase() -> None:
    assert [str(phrase("{n:seed} left", n=n)) for n in (0, 1, 2)] == ["0 seeds left", "1 seed left", "2 seeds left"]
    assert str(phrase("{n:entry/entries}", n=2)) == "2 entries"
    assert str(phrase("{seconds:.1f} s of {what}", seconds=1.25, what=phrase("{n}", n=3))) == "1.2 s of 3"
    light = phrase("{light}, {hertz} Hz {times}", light=phrase("red light"), hertz=220, times=phrase("twice"))
    assert light.in_all() == {"en": "red light, 220 Hz twice", "zh": "红灯，220 Hz 两声"}
    assert light.in_all().keys() == set(LANGUAGES)


def test_a_text_without_a_translation_is_said_in_english() -> None:
    assert Phrase("{who} whistles", {"who": "林晓梅"}).said("zh") == "林晓梅 whistles"
    with pytest.raises(KeyError):
        phrase("whistling").said("fr")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_SG"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zha_CN.UTF-8"}, "en"),
        ({"LANG": "sv_SE.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "en_GB.UTF-8", "LC_CTYPE": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert of_locale(environment) == language
