"""The font of everything that is printed. The font has Latin and Chinese characters."""

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTCollection, TTFont, TTLibError

from protocol.errors import ConfigError

_OTHER = "Give --font another file: an OpenType font with Latin and Chinese letters, such as Noto Sans SC"

_KINDS = (b"OTTO", b"\0\1\0\0", b"true", b"ttcf")
"""First bytes of an OpenType font and of a collection (OpenType 1.9, "Organization of an OpenType font")."""
_MOST_BYTES = 256 << 20
"""Maximum size of a font. The largest collection of Noto CJK is half as large."""


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
        """Number of the face within the file. The number is 0 unless the file is a collection."""
        with self.read():
            self._font = self._opened(file)
            self._names: Mapping[int, str] = self._font.getBestCmap() or {}
            self._glyphs: Any = self._font.getGlyphSet()
            self._em: int = self._font["head"].unitsPerEm
            self.capital: float = self._font["OS/2"].sCapHeight / self._em
            """Height of a capital letter."""

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """Turn each error that a part of the font causes in this block into ConfigError `card.font`.

        fontTools reads each part of a font only when it is needed, and does not say which errors a damaged part raises
        (struct.error, KeyError, RecursionError and others were seen).
        """
        try:
            yield
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001  see above
            said = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError("card.font", f"{self.file} is not a font that can be used: {said}. {_OTHER}") from None

    def _opened(self, file: Path) -> TTFont:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            raise TTLibError(f"it is not a file of at most {_MOST_BYTES >> 20} MB")
        data = file.read_bytes()
        if data[:4] not in _KINDS:
            raise TTLibError("it does not begin as OpenType does")  # a compressed font may be of any size
        if not data.startswith(b"ttcf"):
            return _undamaged(TTFont(io.BytesIO(data), lazy=True, checkChecksums=2))
        faces = TTCollection(io.BytesIO(data), lazy=True, checkChecksums=2).fonts
        names = [str(face["name"].getDebugName(4)) for face in faces]
        # A collection has a face for each region, and the same character may look different in each of them.
        self.face = next((at for at, name in enumerate(names) if " SC" in name and "Mono" not in name), 0)
        return _undamaged(faces[self.face])

    def check(self, text: str) -> None:
        """Raises ConfigError `card.font` if the font lacks a character of `text`."""
        lacking = sorted({letter for letter in text if ord(letter) not in self._names})
        if lacking:
            raise ConfigError("card.font", f"{self.file} has no character for {' '.join(lacking)}. {_OTHER}")

    def width(self, text: str) -> float:
        """Return the width of `text`."""
        with self.read():
            return float(sum(self._glyphs[self._names[ord(letter)]].width for letter in text) / self._em)

    def height(self, letter: str) -> float:
        """Return the height of the ink of `letter`."""
        pen = BoundsPen(self._glyphs)
        with self.read():
            self._glyphs[self._names[ord(letter)]].draw(pen)
        return 0.0 if pen.bounds is None else float((pen.bounds[3] - pen.bounds[1]) / self._em)

    def outline(self, text: str, x: float, y: float, size: float) -> str:
        """Return the outlines of `text` as the data of an SVG path. The text begins at `x` on the baseline `y`."""
        scale = size / self._em
        pen = SVGPathPen(self._glyphs, ntos=lambda number: f"{number:.2f}".rstrip("0").rstrip("."))
        with self.read():
            for letter in text:
                glyph = self._glyphs[self._names[ord(letter)]]
                glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, x, y)))
                x += glyph.width * scale
        return str(pen.getCommands())


def _undamaged(font: TTFont) -> TTFont:
    """Compare every table of `font` with the checksum of the table. Otherwise a damaged number might cost any amount of
    time and memory before anybody notices. Raises TTLibError."""
    for tag in tuple(font.reader.tables):
        font.reader[tag]
    return font
