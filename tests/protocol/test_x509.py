"""Claims about certificates and their DER, compared with `cryptography`."""

from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from protocol import crypto_cpython, der
from protocol.errors import FormatError
from protocol.x509 import DIGITAL_SIGNATURE, KEY_CERT_SIGN, Certificate, same_name
from tests.support import vectors
from tests.support.credential import DS, IACA, name, seconds
from tests.support.on_lock import run_on_lock

IACA_DER, DS_DER = IACA.certificate(IACA), DS.certificate(IACA)


def test_a_certificate_holds_what_cryptography_reads_in_it() -> None:
    for data in (IACA_DER, DS_DER):
        ours, theirs = Certificate(data), x509.load_der_x509_certificate(data)
        assert ours.tbs == theirs.tbs_certificate_bytes
        assert ours.issuer == theirs.issuer.public_bytes()
        assert ours.subject == theirs.subject.public_bytes()
        assert ours.not_before == seconds(theirs.not_valid_before_utc)
        assert ours.not_after == seconds(theirs.not_valid_after_utc)
        assert ours.signature == theirs.signature
        assert (ours.curve, ours.signature_hash, ours.country) == ("P-256", "SHA-256", b"UT")


def test_extensions_are_read() -> None:
    iaca, ds = Certificate(IACA_DER), Certificate(DS_DER)
    assert (iaca.is_ca, iaca.key_usage) == (True, 0x40 | KEY_CERT_SIGN)
    assert (ds.is_ca, ds.key_usage) == (False, DIGITAL_SIGNATURE)
    assert ds.authority_key_identifier == iaca.subject_key_identifier == b"subject key identifier"
    assert ds.extended_key_usage == [b"\x28\x81\x8c\x5d\x05\x01\x02"]


def test_only_the_issuer_verifies_a_certificate() -> None:
    iaca, ds = Certificate(IACA_DER), Certificate(DS_DER)
    assert iaca.verifies(crypto_cpython, ds)
    assert iaca.verifies(crypto_cpython, iaca)
    assert not ds.verifies(crypto_cpython, ds)
    assert iaca.self_issued
    assert not ds.self_issued


def test_no_byte_of_the_signed_part_can_change() -> None:
    iaca = Certificate(IACA_DER)
    for at in range(len(DS_DER)):
        changed = DS_DER[:at] + bytes([DS_DER[at] ^ 1]) + DS_DER[at + 1 :]
        try:
            certificate = Certificate(changed)
        except FormatError:
            continue
        assert not iaca.verifies(crypto_cpython, certificate)


def test_a_certificate_that_ends_anywhere_else_is_refused() -> None:
    for end in range(len(DS_DER)):
        with pytest.raises(FormatError):
            Certificate(DS_DER[:end])
    with pytest.raises(FormatError) as refusal:
        Certificate(DS_DER + b"\x00")
    assert refusal.value.code == "der.trailing"


def test_an_endless_certificate_is_refused_unread() -> None:
    with pytest.raises(FormatError) as refusal:
        Certificate(b"\x30\x82\xff\xff" + bytes(0xFFFF))
    assert refusal.value.code == "x509.too_long"


def test_a_key_of_an_unknown_kind_is_left_out_and_verifies_nothing() -> None:
    odd = replace(IACA, curve="brainpoolP256r1")
    certificate = Certificate(odd.certificate(odd))
    assert certificate.curve is None
    assert not certificate.verifies(crypto_cpython, Certificate(DS.certificate(odd)))


def attribute(kind: int, tag: int, text: str) -> bytes:
    value = bytes((tag, len(text.encode()))) + text.encode()
    pair = bytes((6, 3, 0x55, 4, kind)) + value
    return b"\x31" + bytes((len(pair) + 2,)) + b"\x30" + bytes((len(pair),)) + pair


def der_name(*attributes: bytes) -> bytes:
    return b"\x30" + bytes((sum(map(len, attributes)),)) + b"".join(attributes)


UTF8, PRINTABLE, IA5, BMP = 0x0C, 0x13, 0x16, 0x1E
WRITTEN = der_name(attribute(6, PRINTABLE, "UT"), attribute(3, UTF8, "Utopia IACA"))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (der_name(attribute(6, PRINTABLE, "UT"), attribute(3, PRINTABLE, "Utopia IACA")), True),
        (der_name(attribute(6, UTF8, "ut"), attribute(3, IA5, "  UTOPIA   iaca ")), True),
        (der_name(attribute(6, PRINTABLE, "UT"), attribute(3, UTF8, "UtopiaIACA")), False),
        (der_name(attribute(6, PRINTABLE, "UT"), attribute(3, BMP, "Utopia IACA")), False),
        (der_name(attribute(3, UTF8, "Utopia IACA"), attribute(6, PRINTABLE, "UT")), False),
        (der_name(attribute(6, PRINTABLE, "UT")), False),
        (der_name(attribute(6, PRINTABLE, "UT"), attribute(10, UTF8, "Utopia IACA")), False),
        (WRITTEN + b"\x00", False),
        (WRITTEN[:-1], False),
        (b"", False),
    ],
)
def test_names_are_the_same_whatever_their_strings_are_written_as(other: bytes, same: bool) -> None:
    assert same_name(WRITTEN, other) is same and same_name(other, WRITTEN) is same


def test_relative_names_are_not_run_together() -> None:
    both = attribute(6, UTF8, "UT")[2:] + attribute(3, UTF8, "Utopia IACA")[2:]
    joined = b"\x30" + bytes((len(both) + 2,)) + b"\x31" + bytes((len(both),)) + both
    assert not same_name(joined, der_name(attribute(6, UTF8, "UT"), attribute(3, UTF8, "Utopia IACA")))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("020112", "12"),
        ("02020012", "12"),
        ("0204000000 12", "12"),
        ("0201 00", "00"),
        ("0203 000000", "00"),
        ("0202 00c8", "00c8"),
        ("0203 0000c8", "00c8"),
        ("0201 c8", "00c8"),  # Without the zero byte, the number is negative.
        ("0202 ffc8", "00c8"),
        ("0203 ffffc8", "00c8"),
        ("0203 00ffc8", "00ffc8"),
        ("0201 ff", "00ff"),
    ],
)
def test_serial_numbers_that_are_equal_are_equal_bytes(written: str, number: str) -> None:
    assert der.Reader(bytes.fromhex(written)).serial() == bytes.fromhex(number)


def test_an_empty_serial_number_is_refused() -> None:
    with pytest.raises(FormatError, match=r"der\.integer"):
        der.Reader(b"\x02\x00").serial()


def test_two_countries_in_a_name_are_refused() -> None:
    twice = x509.Name([*name("Utopia IACA"), *name("Utopia IACA", "XX")])
    odd = replace(IACA, subject=twice)
    with pytest.raises(FormatError) as refusal:
        Certificate(odd.certificate(odd))
    assert refusal.value.code == "x509.name"


def test_a_version_1_certificate_is_refused() -> None:
    tbs = der.Reader(DS_DER).enter(der.SEQUENCE).element(der.SEQUENCE)
    without = tbs.replace(b"\xa0\x03\x02\x01\x02", b"")
    # The lengths of the two outer sequences shrink by five bytes.
    rest = DS_DER[4 + len(tbs) :]
    inner = b"\x30\x82" + (len(without) - 4).to_bytes(2, "big") + without[4:]
    whole = b"\x30\x82" + (len(inner) + len(rest)).to_bytes(2, "big") + inner + rest
    with pytest.raises(FormatError) as refusal:
        Certificate(whole)
    assert refusal.value.code == "x509.version"


MUTATIONS = st.lists(
    st.tuples(st.integers(0, len(DS_DER) - 1), st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=4
)


def mutated(data: bytes, edits: list[tuple[int, int, int]]) -> bytes:
    changed = bytearray(data)
    for at, value, how in edits:
        where = at % max(len(changed), 1)
        if how == 0 and changed:
            changed[where] = value
        elif how == 1:
            changed.insert(where, value)
        else:
            del changed[where : where + 1]
    return bytes(changed)


@given(MUTATIONS)
def test_a_mutated_certificate_is_refused_in_order_or_not_believed(edits: list[tuple[int, int, int]]) -> None:
    data = mutated(DS_DER, edits)
    try:
        certificate = Certificate(data)
    except FormatError:
        return
    assert (
        data == DS_DER
        or certificate.tbs == Certificate(DS_DER).tbs
        or not Certificate(IACA_DER).verifies(crypto_cpython, certificate)
    )


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises(FormatError):
        Certificate(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "der.unexpected"),
        ("30", "der.truncated"),
        ("3001", "der.truncated"),
        ("3080", "der.length"),
        ("308101", "der.length"),
        ("30817f", "der.length"),
        ("30820001", "der.length"),
        ("3083010000", "der.length"),
        ("308201", "der.truncated"),
        ("31", "der.unexpected"),
    ],
)
def test_an_element_that_is_not_der_is_refused(data: str, code: str) -> None:
    with pytest.raises(FormatError) as refusal:
        der.Reader(bytes.fromhex(data)).enter(der.SEQUENCE)
    assert refusal.value.code == code


@pytest.mark.parametrize("data", ["0200", "0280", "0201ff", "02020001", "02028000"])
def test_an_integer_that_is_negative_or_padded_is_refused(data: str) -> None:
    with pytest.raises(FormatError):
        der.Reader(bytes.fromhex(data)).unsigned()


@pytest.mark.parametrize("data", ["0300", "030108", "030101", "03020101", "030209ff"])
def test_a_bit_string_with_impossible_padding_is_refused(data: str) -> None:
    with pytest.raises(FormatError):
        der.Reader(bytes.fromhex(data)).bits()


@pytest.mark.parametrize("data", ["010101", "0100", "0102ffff"])
def test_a_boolean_that_is_neither_is_refused(data: str) -> None:
    with pytest.raises(FormatError):
        der.Reader(bytes.fromhex(data)).boolean()


def test_high_tag_numbers_are_refused() -> None:
    with pytest.raises(FormatError) as refusal:
        der.Reader(b"\x1f\x81\x01\x00").skip()
    assert refusal.value.code == "der.tag"


def test_the_lock_reads_and_refuses_the_same_certificates() -> None:
    cases = [IACA_DER, DS_DER]
    cases += [DS_DER[:at] + bytes([DS_DER[at] ^ 0x11]) + DS_DER[at + 1 :] for at in range(0, len(DS_DER), 7)]
    source = """
from protocol.errors import FormatError
from protocol.x509 import Certificate
def read(data):
    try:
        it = Certificate(bytes.fromhex(data))
        return [it.not_before, it.not_after, it.curve, it.is_ca, it.key_usage, it.public.hex(), it.unknown_critical]
    except FormatError as error:
        return error.code
answer([read(data) for data in given])
"""

    def read(data: bytes) -> object:
        try:
            it = Certificate(data)
        except FormatError as error:
            return error.code
        return [it.not_before, it.not_after, it.curve, it.is_ca, it.key_usage, it.public.hex(), it.unknown_critical]

    assert run_on_lock(source, [data.hex() for data in cases]) == [read(data) for data in cases]


@vectors.needed
@pytest.mark.parametrize("folder_name", ["iaca.crt.der", "ds.crt.der", "iaca384.crt.der", "ds384.crt.der"])
def test_published_certificates_are_read(folder_name: str) -> None:
    data = vectors.path(f"pki/{folder_name}").read_bytes()
    certificate = Certificate(data)
    assert certificate.curve == ("P-384" if "384" in folder_name else "P-256")
    assert certificate.subject == x509.load_der_x509_certificate(data).subject.public_bytes()
