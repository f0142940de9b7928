"""The search for what must not be readable: guests' data, PINs and keys, in any form in which a program would leave it.

Random bytes do not hold a needle by chance: none is shorter than five bytes, or six digits.
"""

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path

MIN_BYTES, MIN_DIGITS = 5, 6


def text_forms(text: str) -> set[bytes]:
    """`text` as it would stand in a file: as `key_forms` of its UTF-8, in UTF-16, and escaped by JSON."""
    return _long({text.encode("utf-16-le"), json.dumps(text)[1:-1].encode(), *key_forms(text.encode())})


def key_forms(key: bytes) -> set[bytes]:
    """Bytes as they are, in hex, and in base64 wherever they begin in what was encoded."""
    forms = {key, key.hex().encode(), key.hex().upper().encode()}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + key)
        # Characters that also depend on the neighbours are left out.
        forms.add(whole[(0, 2, 3)[before] :].rstrip(b"=")[: (len(key) + before) * 8 // 6 - (0, 2, 3)[before]])
    return _long(forms)


def _long(forms: set[bytes]) -> set[bytes]:
    return {form for form in forms if len(form) >= MIN_BYTES}


class Search:
    """Looks for `texts` and `keys` (and `digits`, which only count where no other digit touches them: a log is full of
    numbers)."""

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
        """Is any of it in `content`?"""
        return any(needle in content for needle in self._needles) or any(
            number.search(content) is not None for number in self._numbers
        )

    def files(self, folder: Path, without: str) -> list[str]:
        """Files below `folder` in which any of it is, by their name or content, except below the folder `without`."""
        found = []
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and without not in inside.parts:
                if self.hits(str(inside).encode()) or self.hits(path.read_bytes()):
                    found.append(str(inside))
        return found
