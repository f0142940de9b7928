"""The identities of the person in a document or a booking. The identities are made from numbers and names in canonical
form.

A commitment is made from an identity (`protocol.grant`). Both runtimes must compute the same bytes. MicroPython has no
Unicode tables, so the tables for folding names are here. docs/formats.md gives the reasons. Folding works on the UTF-8
bytes. If a program takes a single character out of a text, MicroPython never frees the memory of that character.
"""

from protocol import cbor, const, dates
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Table of capitals without their marks, for U+00C0 to U+024F, then for U+1E00 to U+1EFF. A small letter refers to a
# pair in _PAIRS; "?" marks a letter that is kept as it is.
_LATIN = const(
    b"AAAAAAACEEEEIIIIDNOOOOO OUUUUYtsAAAAAAACEEEEIIIIDNOOOOO OUUUUYtYAAAAAACCCCCCCCDDDDEEEEEEEEEEGGGGGGGG"
    b"HHHHIIIIIIIIIIiiJJKKQLLLLLLLLLLNNNNNNNNNOOOOOOOORRRRRRSSSSSSSSTTTTTTUUUUUUUUUUUUWWYYYZZZZZZSBBBB??OC"
    b"C?DDD?EEEFFG???IKKL??NNOOO??PP?????TTTTUU?VYYZZ?????????????dddlllnnnAAIIOOUUUUUUUUUUEAAAAAAGGGGKKOO"
    b"OO??JdddGG??NNAAAAOOAAAAEEEEIIIIOOOORRRRUUUUSSTT??HHND??ZZAAEEOOOOOOOOYYLNT???ACCLTSZ??B??EEJJQQRRYY"
    b"AABBBBBBCCDDDDDDDDDDEEEEEEEEEEFFGGHHHHHHHHHHIIIIKKKKKKLLLLLLLLMMMMMMNNNNNNNNOOOOOOOOPPPPRRRRRRRRSSSS"
    b"SSSSSSTTTTTTTTUUUUUUUUUUVVVVWWWWWWWWWWXXXXYYZZZZZZHTWYAS??s?AAAAAAAAAAAAAAAAAAAAAAAAEEEEEEEEEEEEEEEE"
    b"IIIIOOOOOOOOOOOOOOOOOOOOOOOOUUUUUUUUUUUUUUYYYYYYYY????YY"
)
_PAIRS = const(b"sSStTHiIJdDZlLJnNJ")
# Pairs of low bytes (U+03xx, U+04xx): a letter with a mark, then the same letter without the mark.
_GREEK = const(
    b"\x86\x91\x88\x95\x89\x97\x8a\x99\x8c\x9f\x8e\xa5\x8f\xa9\x90\x99\xaa\x99\xab\xa5\xac\x91\xad\x95\xae\x97\xaf\x99"
    b"\xb0\xa5\xcc\x9f\xcd\xa5\xce\xa9\xa2\xa3"
)
_CYRILLIC = const(b"\x00\x15\x01\x15\x03\x13\x07\x06\x0c\x1a\x0d\x18\x0e\x23\x19\x18")
# Low bytes of characters in U+20xx that are dropped: direction marks, apostrophes, middle dots. All others are spaces.
_NOTHING = const(b"\x0b\x0c\x0d\x0e\x0f\x18\x19\x1b\x22\x27\x2a\x2b\x2c\x2d\x2e\x32\x35\x60")
_SPACE = const(0x20)
_CJK = const(0x2E80)  # Scripts with this code point or a higher one write a name without a space in it.


def canonical_number(document_number: str) -> str:
    """Return `document_number` without spaces, and with ASCII letters in upper case.

    No other letters are changed, because the two runtimes disagree about their upper case.
    """
    kept = bytearray()
    for byte in document_number.encode():
        if byte != _SPACE:
            kept.append(byte - 32 if 0x61 <= byte <= 0x7A else byte)
    return bytes(kept).decode()


def is_resident(number: str) -> bool:
    """Does the canonical `number` have the form that only numbers of residents of China have (GB 11643-1999)?

    This form is 17 digits, which include a birth date, and one check character.
    """
    total, characters = 0, number.encode()
    if len(characters) != 18:
        return False
    for at, byte in enumerate(characters):
        if not 0x30 <= byte <= 0x39 and (byte != 0x58 or at < 17):
            return False
        total = 2 * total + (byte - 0x30 if byte != 0x58 else 10)
    try:
        dates.from_full_date(number[6:10] + "-" + number[10:12] + "-" + number[12:14])
    except FormatError:
        return False
    return total % 11 == 1


def identities(id_type: str, country: str, number: str, name: str, birth_date: str, resident: bool) -> "list[bytes]":
    """Return the five identities of a person who shows this data or is booked with it, in this order:

        1  type, issuing country, number, birth date     levels at which a grant can name a guest
        2  number, birth date
        3  number, name
        4  name, birth date                              never in a grant: to recognise a second document
        5  birth date

    `id_type` is the profile's name for the document type. `country` is the two letters of the issuer's country.
    `number` is the document number. `name` is the folded name. `birth_date` is YYYY-MM-DD. An unknown value is "".
    `resident` says whether the profile lists the document as a document for residents.

    An identity that lacks a value is two bytes long and matches nobody. Identity 1 is the exception, because it may
    lack the birth date. No grant can hold identity 1 without a birth date. A resident's number (`is_resident`) counts
    only if the document is for residents and its issuer is in China. On any other document, such a number gives no
    identity that a grant could hold.
    """
    number = canonical_number(number)
    exact: list[Any] = [1, id_type, country, number, birth_date]
    if is_resident(number) and not (resident and country.encode() == b"CN"):
        exact.append(False)
        number = ""
    made = [cbor.encode(exact)]
    for parts in ((2, number, birth_date), (3, number, name), (4, name, birth_date), (5, birth_date)):
        made.append(cbor.encode(list(parts) if all(parts) else [parts[0]]))
    return made


# --- names -----------------------------------------------------------------------------------------------------------


def fold(name: str) -> str:
    """Return `name` in the form in which names are compared: the words in capitals, without marks, sorted. The result
    is "" if `name` has no words."""
    words: list[bytes] = []
    word = bytearray()
    point = more = last = 0
    gap = False
    for byte in name.encode():
        if more:
            point = point << 6 | byte & 0x3F
            more -= 1
        else:
            more = 0 if byte < 0x80 else 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
            point = byte if not more else byte & 0x3F >> more
        for letter in b"" if more else _canonical(point):
            if letter == _SPACE:
                gap = True
                continue
            if gap and not (last >= _CJK and letter >= _CJK):
                words.append(bytes(word))
                word = bytearray()
                last = 0
            gap = False
            # Müller, Mueller and Muller can be one person, because ICAO 9303-3 lets issuers choose the spelling.
            if (letter == 0x45 and last in (0x41, 0x4F, 0x55)) or (letter == 0x41 and last == 0x41):
                continue
            word.extend(_utf8(letter))
            last = letter
    words.append(bytes(word))
    return b" ".join(sorted([each for each in words if each])).decode()


def _utf8(point: int) -> bytes:
    if point < 0x80:
        return bytes((point,))
    if point < 0x800:
        return bytes((0xC0 | point >> 6, 0x80 | point & 0x3F))
    if point < 0x10000:
        return bytes((0xE0 | point >> 12, 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F))
    return bytes((0xF0 | point >> 18, 0x80 | point >> 12 & 0x3F, 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F))


def _canonical(point: int) -> "bytes | tuple[int, ...]":
    """Return the letters that replace a code point: none, one or two letters, or a space."""
    if 0xFF01 <= point <= 0xFF5E:
        point -= 0xFEE0  # The wide forms of ASCII.
    if point < 0x80:
        if 0x61 <= point <= 0x7A:
            point -= 32
        if 0x41 <= point <= 0x5A or 0x30 <= point <= 0x39:
            return (point,)
        return b"" if point in b"'`" else b" "
    if 0xC0 <= point < 0x250 or 0x1E00 <= point < 0x1F00:
        letter = _LATIN[point - 0xC0 if point < 0x250 else point - 0x1E00 + 0x190]
        if letter == 0x3F:
            return (point,)
        if letter < 0x61:
            return (letter,)
        at = _PAIRS.find(bytes((letter,)))
        return _PAIRS[at + 1 : at + 3]
    return _other(point)


def _other(point: int) -> "bytes | tuple[int, ...]":
    if 0x2B0 <= point < 0x370:
        return b""  # Marks that follow their letter.
    if 0x370 <= point < 0x400:
        return (_letter(point - 32 if 0x3B1 <= point <= 0x3CB else point, _GREEK),)
    if 0x400 <= point < 0x530:
        if 0x430 <= point < 0x460:
            point -= 32 if point < 0x450 else 80
        elif 0x490 <= point < 0x4C0 or point >= 0x4D0:
            point &= ~1
        return (_letter(point, _CYRILLIC) if point < 0x430 else point,)
    if point in (0x254, 0x259, 0x25B):  # the table has only the capitals of these letters
        return b"O" if point == 0x254 else b"E"
    if point < 0xC0:
        return b"" if point in b"\xad\xb4\xb7" else b" "
    if 0x2000 <= point < 0x2070:
        return b"" if point & 0xFF in _NOTHING else b" "
    if point in (0x30FB, 0xFF65, 0xFEFF, 0x2219, 0x22C5):
        return b""
    return b" " if 0x3000 <= point < 0x3004 or point == 0x2212 else (point,)


def _letter(point: int, pairs: bytes) -> int:
    for at in range(0, len(pairs), 2):
        if pairs[at] == point & 0xFF:
            return point & 0x700 | pairs[at + 1]
    return point
