"""Listing code: a QR code beside a door, signed by the province and checked offline (listing_code.cddl).

The text of the QR code is an https link that ends in the statement. Any phone's camera leads to the listing's page.
Anyone with the province's key can check the code without that page. The signature covers the link, so a sticker that
leads elsewhere is not a listing code. Capital letters and base32 fit the alphanumeric mode of ISO/IEC 18004, in which a
QR code holds nearly twice as much text.

The code names a listing, a door and an address. The code does not name a person or an owner. It never changes. The page
says whether the listing is active.
"""

from protocol import const, statement
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

KIND = "listing-code"

MAX_TEXT = 1024
"""Maximum number of characters in a text that is read. Even a code with the longest labels is shorter, and most codes
need a third of this number."""

_ALPHABET = const("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")  # RFC 4648, section 6
_SCHEME = const("HTTPS://")
_OF_LINKS = const("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./:")


def _is_link(value: "Any") -> bool:
    if not isinstance(value, str) or not len(_SCHEME) + 2 <= len(value) <= 64:
        return False
    return value.startswith(_SCHEME) and value.endswith("/") and all(letter in _OF_LINKS for letter in value)


class ListingCode(statement.Form):
    """`listing` is the code that the province gave; `place` is the address as the building shows it; `door` is the
    number of the door within the listing. `link` is the start of the web address in the QR code. The start must be in
    capitals and must end in a slash. `issued_at` is in epoch seconds.
    """

    CODE = "listing-code.form"

    listing: str = statement.field(2, statement.is_label)
    place: str = statement.field(3, statement.is_label)
    door: int = statement.field(4, statement.is_positive, 16)
    link: str = statement.field(5, _is_link)
    issued_at: int = statement.field(6, statement.is_positive)


def write(crypto: "Crypto", private: bytes, code: ListingCode) -> str:
    """Return the text for the QR code, signed with the province's key `private`. Raises FormatError
    `listing-code.form`.
    """
    return code.link + _to_base32(statement.sign(crypto, private, KIND, code.body()))


def read(crypto: "Crypto", text: str, public: bytes) -> ListingCode:
    """Return the listing code in the text of a QR code. The province with the key `public` must have signed it.

    The case of letters does not matter, because browsers change it. Raises the errors of `statement.open`, and
    FormatError `listing-code.text` for any other text. Raises VerificationError `listing-code.link` if the link in the
    text is not the signed link.
    """
    if len(text) > MAX_TEXT or not all(32 < ord(letter) < 127 for letter in text):
        raise FormatError("listing-code.text", "not the text of a listing code")
    text = text.upper()
    cut = text.rfind("/") + 1
    code = ListingCode.parse(statement.open(crypto, _from_base32(text[cut:]), KIND, public))
    if code.link != text[:cut]:
        raise VerificationError("listing-code.link", "the code leads to a different place than the province signed")
    return code


# --- base32, RFC 4648 section 6, without padding ---------------------------------------------------------------------


def _to_base32(data: bytes) -> str:
    text, buffer, bits = "", 0, 0
    for byte in data:
        buffer, bits = buffer << 8 | byte, bits + 8
        while bits >= 5:
            bits -= 5
            text += _ALPHABET[buffer >> bits]
            buffer &= (1 << bits) - 1
    return text + (_ALPHABET[buffer << (5 - bits)] if bits else "")


def _from_base32(text: str) -> bytes:
    data, buffer, bits = bytearray(), 0, 0
    for letter in text:
        value = _ALPHABET.find(letter)
        if value < 0:
            raise FormatError("listing-code.text", "a letter outside base32")
        buffer, bits = buffer << 5 | value, bits + 5
        if bits >= 8:
            bits -= 8
            data.append(buffer >> bits)
            buffer &= (1 << bits) - 1
    if bits >= 5 or buffer:
        raise FormatError("listing-code.text", "base32 of the wrong length")
    return bytes(data)
