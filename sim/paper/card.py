"""The card beside the door: how to check in, whom to call, and the listing code. The card is as large as A5, in black.

The card is made to be read at one metre. The smallest letters have a body of 8 mm, so a capital letter is 5.9 mm high.
At one metre, this height is an angle of 20 minutes of arc. ISO 9241-303 asks for 16 minutes of arc, and prefers 20 to
22.
"""

import re
from dataclasses import dataclass

import segno

from protocol.errors import ConfigError
from sim.paper import pictograms
from sim.paper.font import Font
from sim.paper.sheet import Shape, Sheet, Step

WIDTH, HEIGHT, MARGIN = 148.0, 210.0, 10.0
SMALL, LARGE = 8.0, 12.0
"""Sizes of the letters' bodies."""
_INNER = WIDTH - 2 * MARGIN
_LINE = 1.2
"""Distance between two lines of text. The unit is the size of a letter's body."""
CODE_SIZE = 66.0
"""Width of the QR code, with its quiet zone."""
_CODE_TOP = 108.0
QUIET = 4
"""Width of the quiet zone in modules (ISO/IEC 18004, 6.3.8)."""
_PHONE = re.compile(r"\+?[0-9](?:[ -]?[0-9])*")
_MOST_DIGITS = 15
"""ITU-T E.164, 6.1."""
_LEAST_DIGITS = 3
_STEPS = (
    (pictograms.phone_with_id, "打开证件", "Open ID"),
    (pictograms.phone_at_reader, "靠近读卡器", "Hold here"),
    (pictograms.door_to_push, "推门进入", "Push"),
)


@dataclass(frozen=True)
class Card:
    """What is on the card. `code` is the text of the QR code. `listing`, `door` and `place` are the parts of this text.
    `phone` is the number to call for help.
    """

    code: str
    listing: str
    door: int
    place: str
    phone: str


def drawn(card: Card, font: Font) -> Sheet:
    """Return the card as a sheet.

    Raises ConfigError `card.phone` if `phone` is not a phone number, `card.room` if a text is too long for the card,
    and `card.font` if the font lacks a character.
    """
    _check_phone(card.phone)
    sheet = Sheet(WIDTH, HEIGHT, f"{card.listing}: 刷手机入住 Check in with your phone", "zh-CN", font)
    sheet.text("刷手机入住", MARGIN, 18, LARGE, _INNER)
    sheet.text("Check in with your phone", MARGIN, 28, SMALL, _INNER)
    column = _INNER / len(_STEPS)
    for at, (picture, chinese, english) in enumerate(_STEPS):
        left = MARGIN + at * column
        sheet.draw(*pictograms.placed(picture(), left + (column - 28) / 2, 32, 28))
        sheet.text(chinese, left, 69, SMALL, column)
        sheet.text(english, left, 78, SMALL, column)
    _rule(sheet, 81.5)
    sheet.draw(*pictograms.placed(pictograms.handset(), MARGIN, 84, 18))
    sheet.text("求助 Help", MARGIN + 22, 91, SMALL)
    _fit(sheet, card.phone, MARGIN + 22, 103, "--phone")
    _rule(sheet, 107)
    sheet.draw(_code(card.code, MARGIN - 3, _CODE_TOP))
    right, top, below = MARGIN - 3 + CODE_SIZE + 2, _CODE_TOP + 11, _CODE_TOP + CODE_SIZE
    for text in ("扫码核验", "Scan to check", "房源 Listing"):
        sheet.text(text, right, top, SMALL)
        top += SMALL * _LINE
    top = _wrap(sheet, card.listing, right, top, below - SMALL * _LINE, "--listing")
    sheet.text(f"门 Door {card.door}", right, top, SMALL)
    _wrap(sheet, card.place, MARGIN, below + SMALL * 0.8, HEIGHT - 4, "the address of the lock")
    return sheet


def _check_phone(phone: str) -> None:
    digits = sum(letter.isdigit() for letter in phone)
    if not _PHONE.fullmatch(phone) or not _LEAST_DIGITS <= digits <= _MOST_DIGITS:
        raise ConfigError(
            "card.phone",
            f"{phone!r} is not a phone number. Give --phone {_LEAST_DIGITS} to {_MOST_DIGITS} digits, "
            "with a plus sign before and single spaces or hyphens between, if you like",
        )


def _rule(sheet: Sheet, y: float) -> None:
    sheet.draw(Shape(pictograms.lines((MARGIN, y), (WIDTH - MARGIN, y)), line=0.6))


def _code(text: str, x: float, y: float) -> Shape:
    """Return the QR code, as one shape. Neighbouring dark modules of a row are one rectangle."""
    rows = [list(row) for row in segno.make(text, error="m", boost_error=False).matrix]
    module = CODE_SIZE / (len(rows) + 2 * QUIET)
    x, y = x + QUIET * module, y + QUIET * module
    path: list[Step] = []
    for down, row in enumerate(rows):
        begin = 0
        while begin < len(row):
            end = begin
            while end < len(row) and row[end]:
                end += 1
            if end > begin:
                path += pictograms.box(x + begin * module, y + down * module, (end - begin) * module, module)
            begin = end + 1
    return Shape(path)


def _fit(sheet: Sheet, text: str, x: float, y: float, what: str) -> None:
    """Put one line on the sheet, in the largest size that fits. Raises ConfigError `card.room` if the line does not fit
    in any size.
    """
    sheet.font.check(text)
    size = min(LARGE, (WIDTH - MARGIN - x) / sheet.font.width(text))
    if size < SMALL:
        raise ConfigError("card.room", f"{text!r} is too long for a card that is read at one metre. Shorten {what}")
    sheet.text(text, x, y, size)


def _wrap(sheet: Sheet, text: str, x: float, y: float, bottom: float, what: str) -> float:
    """Put `text` on the sheet in as many lines as it needs, between `x` and the margin. Returns the next baseline.

    Lines break at a space, and beside a Chinese character. Raises ConfigError `card.room` if the text does not fit
    above `bottom`.
    """
    sheet.font.check(text)
    for line in _broken(sheet.font, text, (WIDTH - MARGIN - x) / SMALL):
        if y > bottom:
            raise ConfigError("card.room", f"{text!r} is too long for a card that is read at one metre. Shorten {what}")
        sheet.text(line, x, y, SMALL)
        y += SMALL * _LINE
    return y


def _broken(font: Font, text: str, width: float) -> list[str]:
    """Break `text` into lines of at most `width`. The unit is the size of a letter's body."""
    lines = [""]
    for piece in re.findall(r"[⺀-￯]|[^⺀-￯ -]*[ -]?", text):
        while piece:
            if font.width((lines[-1] + piece).rstrip()) <= width:
                lines[-1] += piece
                break
            if lines[-1].strip():
                lines.append("")
                continue
            # A word that is longer than a line is cut.
            cut = max(at for at in range(1, len(piece) + 1) if at == 1 or font.width(piece[:at]) <= width)
            lines[-1], piece = piece[:cut], piece[cut:]
            lines.append("")
    return [line.strip() for line in lines if line.strip()]
