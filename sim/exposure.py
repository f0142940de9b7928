"""Searches files for guests' data, PINs and keys, which must not be readable there. Finds the data in every form in
which programs write such data.

Each form has at least five bytes or six digits, so that random bytes do not match by chance.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

MIN_BYTES, MIN_DIGITS = 5, 6


def text_forms(text: str) -> set[bytes]:
    """Return the forms in which a file may contain `text`: the `key_forms` of its bytes in UTF-8, in UTF-16 and in JSON
    escapes.
    """
    return _long({text.encode("utf-16-le"), json.dumps(text)[1:-1].encode(), *key_forms(text.encode())})


def key_forms(key: bytes) -> set[bytes]:
    """Return the bytes themselves, their hex, and their base64 at each of the three alignments."""
    forms = {key, key.hex().encode(), key.hex().upper().encode()}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + key)
        # Leave out the characters that also depend on the bytes before or after the key.
        forms.add(whole[(0, 2, 3)[before] :].rstrip(b"=")[: (len(key) + before) * 8 // 6 - (0, 2, 3)[before]])
    return _long(forms)


def _long(forms: set[bytes]) -> set[bytes]:
    return {form for form in forms if len(form) >= MIN_BYTES}


class Search:
    """Searches for `texts`, `keys` and `digits`.

    Digits match only where no other digit is next to them, because a log is full of numbers.
    """

    def __init__(self, texts: Iterable[str], keys: Iterable[bytes] = (), digits: Iterable[str] = ()) -> None:
        self._needles = {form for text in texts for form in text_forms(text)}
        self._needles |= {form for key in keys for form in key_forms(key)}
        self._numbers = []
        for number in digits:
            if len(number) < MIN_DIGITS or not number.isdigit():
                raise ValueError("too short to be told from chance")
            self._numbers.append(re.compile(rb"(?<![0-9])" + number.encode() + rb"(?![0-9])"))
        self.size = len(self._needles) + len(self._numbers)

    def hits(self, content: bytes) -> bool:
        """Does `content` contain any text, key or digits of this search?"""
        return any(needle in content for needle in self._needles) or any(
            number.search(content) is not None for number in self._numbers
        )

    def files(self, folder: Path, without: str, read: Callable[[Path], bytes]) -> list[str]:
        """Files below `folder` whose name or content has a hit. The folder that `without` names is left out, with all
        files below this folder.

        `read` takes a path and returns the bytes that are searched.
        """
        found = []
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and without not in inside.parts:
                if self.hits(str(inside).encode()) or self.hits(read(path)):
                    found.append(str(inside))
        return found
