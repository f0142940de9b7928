"""Breaks text into lines: English text between words, and Chinese text between characters.

rich breaks only at spaces. A Chinese sentence has no spaces, so rich would break it anywhere, also before a comma.
"""

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_OPENING, _CLOSING, _WIDE = "（《「", "，。；：、！？）》」", "㐀-鿿"
# A piece that is never broken: a Chinese character or a word in Latin letters, together with its punctuation. A line
# neither begins with closing punctuation nor ends with opening punctuation (GB/T 15834-2011, 5.1).
_PIECE = re.compile(rf"\s+|[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*")


def broken(text: str, width: int) -> Iterator[str]:
    """Break `text` into lines of at most `width` columns. A Chinese character is two columns wide.

    A word that is longer than a line is cut.
    """
    for paragraph in text.split("\n"):
        line = ""
        for piece in _PIECE.findall(paragraph):
            if cell_len((line + piece).rstrip()) <= width:
                line += piece
                continue
            if line.strip():
                yield line.rstrip()
            *full, line = chop_cells(piece.lstrip(), width) or [""]
            yield from full
        yield line.rstrip()


class Lines:
    """A text for rich. If the text does not fit into the line, `broken` breaks it. Markup in the text is not
    interpreted.
    """

    def __init__(self, text: str, style: str = "", indent: int = 0) -> None:
        self._text, self._style, self._indent = text, style, indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in broken(self._text, options.max_width - self._indent):
            yield Text(" " * self._indent + line, self._style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        line = self._indent + max(map(cell_len, self._text.split("\n")))
        piece = self._indent + max(cell_len(piece.strip()) for piece in _PIECE.findall(self._text))
        return Measurement(min(piece, options.max_width), min(line, options.max_width))
