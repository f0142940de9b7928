"""Texts for people in every language of the page."""

from sim.words import LANGUAGES, Phrase


def both(text: Phrase | str) -> dict[str, str]:
    """Return `text` by language. A name is the same in every language."""
    return text.in_all() if isinstance(text, Phrase) else dict.fromkeys(LANGUAGES, text)
