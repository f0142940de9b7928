"""Draws what a command has printed, as an SVG that loads nothing from the network."""

import re
from html import escape, unescape

from rich.cells import cell_len
from rich.console import Console

CHINESE_FONTS = ("Noto Sans Mono CJK SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei")
"""Fonts for characters that the font of fixed width lacks. Nearly every system has one of these fonts."""
_COLUMN = 12.2
"""Width of a column, in units of the picture. rich draws characters of the height 20, and a column is 0.61 times as
wide.
"""
_TEXT = re.compile(r'<text class="([^"]+)" x="([0-9.]+)" y="([0-9.]+)" textLength="[0-9.]+" ([^>]+)>([^<]*)</text>')
_RUN = re.compile(r"[⺀-￯]+|[^⺀-￯]+")


def drawn(recorded: Console, title: str) -> str:
    """Return an SVG that shows what `recorded` has printed, and give the SVG this `title`."""
    svg = recorded.export_svg(title=title, clear=False)
    # The address of the font is removed. A viewer without this font shows another font of fixed width.
    svg = re.sub(r",\s*url\([^;]*", "", svg)
    families = ", ".join(f"'{font}'" for font in CHINESE_FONTS)
    svg = svg.replace("Fira Code, monospace", f"Fira Code, monospace, {families}")
    return _TEXT.sub(lambda found: _placed(*found.groups()), svg)


def _placed(style: str, x: str, y: str, rest: str, content: str) -> str:
    """Return one text of the picture, with Chinese characters two columns wide.

    rich gives each character one column. So each Chinese text is drawn separately, and the text after it stays in
    place.
    """
    at, parts = float(x), []
    for run in _RUN.findall(unescape(content)):
        length = cell_len(run) * _COLUMN
        if run.strip():
            text = escape(run).replace("\xa0", "&#160;")
            parts.append(f'<text class="{style}" x="{at:g}" y="{y}" textLength="{length:g}" {rest}>{text}</text>')
        at += length
    return "".join(parts)
