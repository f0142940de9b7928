"""A sheet of paper. A sheet is drawn once, and written as SVG or as PDF.

Lengths are in millimetres, from the upper left corner. In the SVG, letters are outlines, so the sheet looks the same on
every machine. In the PDF, letters are text in an embedded part of the font, so they can be searched and read aloud.
"""

import io
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from html import escape

from fpdf import FPDF

from sim.paper.font import Font

Step = tuple[str, *tuple[float, ...]]
"""A step of a path, as in SVG: M and L with a point, C with three points, Z without any."""
Path = Sequence[Step]
BLACK, WHITE = "#000000", "#ffffff"
_POINTS = 72 / 25.4
"""Typographic points in a millimetre."""
_FAMILY = "sheet"


@dataclass(frozen=True)
class Shape:
    """A path in the colour `ink`. The path is filled, or drawn as a line of the width `line`."""

    path: Path
    ink: str = BLACK
    line: float = 0.0


@dataclass(frozen=True)
class Text:
    """A line of text that begins at `x` on the baseline `y`. `size` is the size of a letter's body."""

    x: float
    y: float
    size: float
    content: str


class Sheet:
    """A sheet of the size `width` by `height`. `title` says what the sheet is, and `language` is the sheet's language
    (BCP 47).

    A sheet without text needs no `font`.
    """

    def __init__(self, width: float, height: float, title: str, language: str, font: Font | None = None) -> None:
        self.width, self.height = width, height
        self.title, self.language = title, language
        self._font = font
        self.items: list[Shape | Text] = []

    @property
    def font(self) -> Font:
        """The font of all text on the sheet."""
        assert self._font is not None, "a sheet without a font has no text"
        return self._font

    def draw(self, *shapes: Shape) -> None:
        """Put shapes on the sheet, one over the other."""
        self.items += shapes

    def text(self, content: str, x: float, y: float, size: float, width: float = 0.0) -> None:
        """Put a line of text on the sheet. The line is centred if a `width` is given.

        Raises ConfigError `card.font` if the font lacks a character.
        """
        self.font.check(content)
        if width:
            x += (width - self.font.width(content) * size) / 2
        self.items.append(Text(x, y, size, content))

    def svg(self) -> str:
        """Return the sheet as SVG. Raises ConfigError `card.font` if a part of the font cannot be used."""
        body = "\n".join(self._svg(item) for item in self.items)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}mm" height="{self.height:g}mm" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" role="img" lang="{self.language}">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<rect width="{self.width:g}" height="{self.height:g}" fill="{WHITE}"/>\n{body}\n</svg>\n'
        )

    def _svg(self, item: Shape | Text) -> str:
        if isinstance(item, Text):
            outline = self.font.outline(item.content, item.x, item.y, item.size)
            return f'<path aria-label="{escape(item.content)}" d="{outline}"/>'
        data = "".join(step[0] + " ".join(f"{number:g}" for number in _rounded(step)) for step in item.path)
        if not item.line:
            return f'<path fill="{item.ink}" d="{data}"/>'
        look = f'fill="none" stroke="{item.ink}" stroke-width="{item.line:g}" stroke-linecap="round"'
        return f'<path {look} stroke-linejoin="round" d="{data}"/>'

    def pdf(self, made: datetime) -> bytes:
        """Return the sheet as PDF. `made` is written into the file as the time at which the file was made.

        Raises ConfigError `card.font` if a part of the font cannot be used.
        """
        document = FPDF(unit="mm", format=(self.width, self.height))
        document.set_auto_page_break(False)
        document.set_title(self.title)
        document.set_lang(self.language)
        document.set_creation_date(made)
        document.add_page()
        with nullcontext() if self._font is None else self._font.read():
            return self._written(document)

    def _written(self, document: FPDF) -> bytes:
        if self._font is not None:
            document.add_font(_FAMILY, fname=self._font.file, collection_font_number=self._font.face)
        for item in self.items:
            if isinstance(item, Text):
                document.set_font(_FAMILY, size=item.size * _POINTS)
                document.text(item.x, item.y, item.content)
            else:
                _pdf(document, item)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fpdf warns of each table of the font that it leaves out
            written = io.BytesIO()
            document.output(written)
        return written.getvalue()


def _rounded(step: Step) -> list[float]:
    return [round(float(number), 2) for number in step[1:]]


def _pdf(document: FPDF, shape: Shape) -> None:
    with document.new_path() as path:
        path.style.fill_color = None if shape.line else shape.ink
        path.style.stroke_color = shape.ink if shape.line else None
        path.style.stroke_width = shape.line or None
        path.style.stroke_cap_style, path.style.stroke_join_style = "round", "round"
        path.style.auto_close = False
        for kind, *numbers in shape.path:
            if kind == "M":
                path.move_to(*numbers)
            elif kind == "L":
                path.line_to(*numbers)
            elif kind == "C":
                path.curve_to(*numbers)
            else:
                path.close()
