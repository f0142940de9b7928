"""The font of everything that is printed. It has Latin and Chinese characters."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTCollection, TTFont, TTLibError

from protocol.errors import ConfigError

_OTHER = "Give --font another file: an OpenType font with Latin and Chinese letters, such as Noto Sans SC"


def installed() -> Path:
    """Return the file of the font that belongs to the environment (docs/dependencies.md).

    Raises ConfigError `card.font` if the font is not installed.
    """
    try:
        import pylopdf_fonts_zh_cn
    except ImportError:
        raise ConfigError(
            "card.font", "the font of the environment is not installed. Run `make test` to complete it, or give --font"
        ) from None
    file: Path = pylopdf_fonts_zh_cn.sans_path()
    return file


class Font:
    """An OpenType font. Lengths are in units of the size of a letter's body (em).

    Raises ConfigError `card.font` if `file` is not a font that can be used.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.face = 0
        """Number of the face within the file. It is 0 unless the file is a collection."""
        try:
            self._font = self._opened(file)
            self._names: Mapping[int, str] = self._font.getBestCmap() or {}
            self._glyphs: Any = self._font.getGlyphSet()
            self._em: int = self._font["head"].unitsPerEm
            self.capital: float = self._font["OS/2"].sCapHeight / self._em
            """Height of a capital letter."""
        except (OSError, TTLibError, KeyError, AttributeError, AssertionError) as error:
            raise ConfigError("card.font", f"{file} is not a font that can be used: {error}. {_OTHER}") from None

    def _opened(self, file: Path) -> TTFont:
        data = file.read_bytes()
        if not data.startswith(b"ttcf"):
            return TTFont(io.BytesIO(data), lazy=True)
        faces = TTCollection(io.BytesIO(data), lazy=True).fonts
        names = [str(face["name"].getDebugName(4)) for face in faces]
        # A collection has a face for each region, and the same character may look different in each of them.
        self.face = next((at for at, name in enumerate(names) if " SC" in name and "Mono" not in name), 0)
        return faces[self.face]

    def check(self, text: str) -> None:
        """Raises ConfigError `card.font` if the font lacks a character of `text`."""
        lacking = sorted({letter for letter in text if ord(letter) not in self._names})
        if lacking:
            raise ConfigError("card.font", f"{self.file} has no character for {' '.join(lacking)}. {_OTHER}")

    def width(self, text: str) -> float:
        """Return the width of `text`."""
        return float(sum(self._glyphs[self._names[ord(letter)]].width for letter in text) / self._em)

    def height(self, letter: str) -> float:
        """Return the height of the ink of `letter`."""
        pen = BoundsPen(self._glyphs)
        self._glyphs[self._names[ord(letter)]].draw(pen)
        return 0.0 if pen.bounds is None else float((pen.bounds[3] - pen.bounds[1]) / self._em)

    def outline(self, text: str, x: float, y: float, size: float) -> str:
        """Return the outlines of `text` as the data of an SVG path. The text begins at `x` on the baseline `y`."""
        scale = size / self._em
        pen = SVGPathPen(self._glyphs, ntos=lambda number: f"{number:.2f}".rstrip("0").rstrip("."))
        for letter in text:
            glyph = self._glyphs[self._names[ord(letter)]]
            glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, x, y)))
            x += glyph.width * scale
        return str(pen.getCommands())
