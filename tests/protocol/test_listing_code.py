"""A camera reads a listing code as the province signed it, and other text is refused."""

import io

import pytest
import segno
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from protocol import crypto_cpython as crypto
from protocol import listing_code, statement
from protocol.errors import FormatError, MooringError, VerificationError
from protocol.listing_code import ListingCode, read, write
from tests.support.on_lock import run_on_lock

PRIVATE, PUBLIC = crypto.generate("P-256")
LINK = "HTTPS://CODE.MOORING.EXAMPLE/L/"
CODE = ListingCode("330106-7K2M9Q", "西湖区文三路138号2幢1单元302室", 2, LINK, 1_795_000_000)
TEXT = write(crypto, PRIVATE, CODE)


def seen_by_a_camera(code: segno.QRCode) -> str:
    """Return the text that an independent decoder reads from the picture."""
    rows = [bytes(0 if dark else 255 for dark in row) for row in code.matrix_iter(scale=4, border=4)]
    picture = memoryview(b"".join(rows)).cast("B", (len(rows), len(rows[0])))
    # The decoder looks only for QR codes. Otherwise the decoder sometimes finds a bar code of a different kind.
    [found] = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return str(found.text)


def test_what_a_camera_reads_from_the_picture_is_what_the_province_signed() -> None:
    qr = segno.make(TEXT, error="m", boost_error=False)
    assert qr.mode == "alphanumeric"
    assert isinstance(qr.version, int) and qr.version <= 12, "65 modules a side"
    assert vars(read(crypto, seen_by_a_camera(qr), PUBLIC)) == vars(CODE)


def test_a_browser_that_changes_the_case_changes_nothing() -> None:
    assert vars(read(crypto, TEXT.lower(), PUBLIC)) == vars(CODE)


def test_a_code_by_anyone_else_is_none() -> None:
    forged = write(crypto, crypto.generate("P-256")[0], CODE)
    with pytest.raises(VerificationError) as caught:
        read(crypto, forged, PUBLIC)
    assert caught.value.code == "cose.signature"


@pytest.mark.parametrize("link", ["HTTPS://CODE.MOORING.EXAMPL/L/", "HTTPS://EVIL.EXAMPLE/L/", "", "HTTP" + LINK[5:]])
def test_a_genuine_statement_behind_another_link_is_no_genuine_code(link: str) -> None:
    with pytest.raises(VerificationError) as caught:
        read(crypto, link + TEXT[len(LINK) :], PUBLIC)
    assert caught.value.code == "listing-code.link"


def test_a_statement_of_another_kind_is_no_listing_code() -> None:
    other = statement.sign(crypto, PRIVATE, "receipt", CODE.body())
    with pytest.raises(VerificationError) as caught:
        read(crypto, LINK + listing_code._to_base32(other), PUBLIC)
    assert caught.value.code == "statement.kind"


@pytest.mark.parametrize(
    "link",
    [
        *("https://code.example/l/", "HTTPS://CODE.EXAMPLE/L", "HTTPS://CODE.EXAMPLE/?Q=/", "HTTP://CODE.EXAMPLE/L/"),
        *("HTTPS:///", "HTTPS://" + "A" * 56 + "/", "JAVASCRIPT:ALERT/", ""),
    ],
)
def test_a_link_of_another_form_is_not_signed(link: str) -> None:
    with pytest.raises(FormatError) as caught:
        write(crypto, PRIVATE, ListingCode("HZ-1", "there", 1, link, 1))
    assert caught.value.code == "listing-code.form"


def test_the_longest_labels_there_are_make_a_code_that_can_be_read_and_drawn() -> None:
    longest = ListingCode("号" * 64, "室" * 64, 16, "HTTPS://" + "A" * 55 + "/", (1 << 53) - 1)
    text = write(crypto, PRIVATE, longest)
    assert len(text) <= listing_code.MAX_TEXT
    assert vars(read(crypto, seen_by_a_camera(segno.make(text, error="m")), PUBLIC)) == vars(longest)


@pytest.mark.parametrize("at", range(len(LINK), len(TEXT), 11))
def test_no_letter_of_it_can_be_changed(at: int) -> None:
    other = "A" if TEXT[at] != "A" else "B"
    with pytest.raises(MooringError):
        read(crypto, TEXT[:at] + other + TEXT[at + 1 :], PUBLIC)


@given(st.text(max_size=80) | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", max_size=200))
def test_any_text_is_refused_in_order(text: str) -> None:
    for tried in (text, LINK + text, TEXT + text[:1] * 9):
        if tried != TEXT:
            with pytest.raises(MooringError):
                read(crypto, tried, PUBLIC)


@given(st.binary(max_size=300))
def test_base32_is_that_of_rfc_4648_and_has_one_form(data: bytes) -> None:
    import base64

    text = listing_code._to_base32(data)
    assert text == base64.b32encode(data).decode().rstrip("=")
    assert listing_code._from_base32(text) == data


@pytest.mark.parametrize("text", ["A", "AAA", "AB", "AAAAAA", "A1", "a0", "7" * 5])
def test_base32_that_nobody_writes_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        listing_code._from_base32(text)
    assert caught.value.code == "listing-code.text"


def test_the_lock_s_runtime_reads_it_too() -> None:
    answer = run_on_lock(
        """
import firmware.crypto as crypto
from protocol.errors import MooringError
from protocol.listing_code import read
public = bytes.fromhex(given["public"])
code = read(crypto, given["text"], public)
try:
    read(crypto, "HTTPS://X.EXAMPLE/" + given["text"].split("/")[-1], public)
except MooringError as error:
    answer([code.listing, code.place, code.door, error.code])
""",
        {"public": PUBLIC.hex(), "text": TEXT},
    )
    assert answer == [CODE.listing, CODE.place, 2, "listing-code.link"]


def test_it_tells_where_and_nothing_of_whom() -> None:
    assert set(vars(CODE)) == {"listing", "place", "door", "link", "issued_at"}
    assert io.StringIO(TEXT).read().isascii()
