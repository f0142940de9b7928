"""The texts that the simulator shows to people, in English and in Chinese.

A `phrase` is written in English where it is used, with named fields: `phrase("opened after {ms:.0f} ms", ms=12.5)`. The
English text of a phrase is also the key of its translation, in `sim/words/zh/`. A phrase becomes text only when it is
shown, because the language of the reader is not known before. Output for programs (JSON, error codes, events of the
console) is in no language and needs no phrase.

To add a third language, add a folder of translations, and add the language's code to `LANGUAGES` and `_TRANSLATIONS`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from edge_agent.counted import counted
from sim.words.zh import ZH

LANGUAGES = ("en", "zh")
_TRANSLATIONS: dict[str, Mapping[str, str]] = {"en": {}, "zh": ZH}
_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Variables that name the language of messages. The first variable that is set and not empty names the language
(POSIX.1-2017, 8.2).
"""


@dataclass(frozen=True)
class Phrase:
    """A text for people, before its language is chosen. `str` gives it in English.

    A value in `fields` may be a phrase itself. A whole number may have a noun after the colon, and an irregular plural
    after a slash: `{kinds:kind}`, `{entries:entry/entries}`. Chinese has no plural. The translation contains the
    measure word itself.
    """

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def of(self, **fields: Any) -> "Phrase":
        """Return the phrase with these fields added."""
        return Phrase(self.text, {**self.fields, **fields})

    def said(self, language: str) -> str:
        """Return the phrase in `language`, one of LANGUAGES. A text without a translation is said in English."""
        text = _TRANSLATIONS[language].get(self.text, self.text)
        return _Words(language).vformat(text, (), self.fields)

    def in_all(self) -> dict[str, str]:
        """Return the phrase in every language, by the language's code."""
        return {language: self.said(language) for language in LANGUAGES}

    def __str__(self) -> str:
        return self.said("en")


def phrase(text: str, /, **fields: Any) -> Phrase:
    """Return the phrase `text` with its fields. `text` is a literal, so that a test finds it and its translation."""
    return Phrase(text, fields)


def of_locale(environment: Mapping[str, str]) -> str:
    """Return the language that the variables of the locale ask for: "zh" for every Chinese locale, else "en"."""
    name = next((environment[variable] for variable in _LOCALES if environment.get(variable)), "")
    return "zh" if re.match(r"zh(?![a-z])", name, re.IGNORECASE) else "en"


class _Words(Formatter):
    """Fills the fields of one phrase, in one language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Phrase):
            return value.said(self._language)
        if isinstance(value, int) and format_spec:
            noun, _, plural = format_spec.partition("/")
            return counted(value, noun, plural or None)
        text: str = super().format_field(value, format_spec)
        return text
