import json
from pathlib import Path
from typing import Any

import cbor2
import ndef as ndeflib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ndef
from protocol.errors import FormatError, MooringError
from protocol.mdoc.engagement import Nfc, parse_device_engagement
from protocol.mdoc.handover import handover_request, parse_handover_select
from tests.support import vectors

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "engagement.json").read_text())
SESSION: dict[str, str] = DATA["session"]
ENGAGEMENT = bytes.fromhex(SESSION["device_engagement_nfc"])
SELECT = bytes.fromhex(SESSION["handover_select"])
KEY = cbor2.loads(ENGAGEMENT)[1][1]


def engagement(**changes: Any) -> bytes:
    fields: dict[int, Any] = {0: "1.0", 1: [1, KEY]}
    fields.update({int(name[1:]): value for name, value in changes.items()})
    return cbor2.dumps(fields)


def test_a_device_engagement_keeps_its_bytes_and_gives_its_key() -> None:
    parsed = parse_device_engagement(ENGAGEMENT)
    assert parsed.raw == ENGAGEMENT
    assert parsed.version == "1.0" and parsed.curve == "P-256"
    assert parsed.e_device_key_bytes.hex() == SESSION["e_device_key_bytes"]
    assert parsed.public[1:33] == cbor2.loads(KEY.value)[-2]
    assert parsed.nfc is None and parsed.ble is None


def test_an_engagement_of_version_1_1_with_unknown_keys_is_accepted_as_it_came() -> None:
    raw = engagement(k0="1.1", k5=[1, 2], k6={"anything": b"\x00"})
    assert parse_device_engagement(raw).raw == raw


def test_retrieval_methods_are_read_and_unknown_ones_passed_over() -> None:
    uuid = bytes(range(16))
    methods = [[1, 1, {0: 300, 1: 4096}], [2, 1, {0: False, 1: True, 11: uuid}], [3, 1, {}], [2, 9, {0: 1}]]
    parsed = parse_device_engagement(engagement(k2=methods))
    assert parsed.nfc is not None and (parsed.nfc.max_command, parsed.nfc.max_response) == (300, 4096)
    assert parsed.ble is not None and parsed.ble.central and not parsed.ble.peripheral
    assert parsed.ble.central_uuid == uuid and parsed.ble.peripheral_uuid is None


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "cbor.truncated"),
        (ENGAGEMENT + b"\x00", "cbor.trailing"),
        (cbor2.dumps([1]), "engagement.form"),
        (engagement(k0="2.0"), "engagement.version"),
        (engagement(k0=1), "engagement.version"),
        (engagement(k1=None), "engagement.form"),
        (engagement(k1=[1]), "engagement.form"),
        (engagement(k1=[2, KEY]), "engagement.suite"),
        (engagement(k1=[True, KEY]), "engagement.suite"),
        (engagement(k1=[1, KEY.value]), "engagement.form"),
        (engagement(k1=[1, cbor2.CBORTag(24, cbor2.dumps({1: 1, -1: 6, -2: bytes(32)}))]), "cose.key"),
        (engagement(k1=[1, cbor2.CBORTag(24, b"\xff")]), "cbor.indefinite"),
        (engagement(k2={}), "engagement.form"),
        (engagement(k2=[[1, 1]]), "engagement.form"),
        (engagement(k2=[[1, 1, {0: 0, 1: 256}]]), "engagement.form"),
        (engagement(k2=[[2, 1, {0: True, 10: b"short"}]]), "engagement.form"),
    ],
)
def test_an_engagement_out_of_form_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_device_engagement(raw)
    assert caught.value.code == code


def test_a_handover_select_gives_engagement_nfc_limits_and_ble_uuid() -> None:
    handover = parse_handover_select(SELECT)
    assert handover.engagement.raw == ENGAGEMENT
    assert handover.nfc is not None and (handover.nfc.max_command, handover.nfc.max_response) == (512, 4096)
    assert handover.ble is not None and handover.ble.central and handover.ble.peripheral
    assert handover.ble.central_uuid is not None
    assert handover.ble.central_uuid.hex() == SESSION["ble_uuid"].replace("-", "")
    assert handover.item() == [SELECT, None]


def test_the_order_of_records_does_not_matter() -> None:
    records = ndef.parse(SELECT)
    for turn in range(len(records)):
        turned = parse_handover_select(ndef.encode(records[turn:] + records[:turn]))
        assert turned.engagement.raw == ENGAGEMENT and turned.nfc is not None and turned.ble is not None


def test_a_handover_select_built_by_an_independent_library_is_read() -> None:
    carrier = ndeflib.Record("urn:nfc:wkt:ac", "", b"\x01\x03nfc\x00")
    inner = b"\x15" + b"".join(ndeflib.message_encoder([carrier]))
    message = b"".join(
        ndeflib.message_encoder(
            [
                ndeflib.Record("urn:nfc:wkt:Hs", "", inner),
                ndeflib.Record("urn:nfc:ext:iso.org:18013:nfc", "nfc", bytes.fromhex("010301ffff0402010000")),
                ndeflib.Record("urn:nfc:ext:iso.org:18013:deviceengagement", "mdoc", ENGAGEMENT),
            ]
        )
    )
    handover = parse_handover_select(message)
    assert handover.nfc is not None and handover.nfc.max_response == 65536
    assert handover.ble is None


def changed(kind: bytes, payload: bytes | None) -> bytes:
    """Return SELECT with `payload` in the record of type `kind`, or without this record if `payload` is None."""
    records = []
    for record in ndef.parse(SELECT):
        if record.type != kind:
            records.append(record)
        elif payload is not None:
            records.append(ndef.Record(record.tnf, record.type, record.id, payload))
    return ndef.encode(records)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (changed(b"Hs", None), "handover.form"),
        (changed(b"Hs", b""), "handover.form"),
        (changed(b"Hs", b"\x25"), "handover.version"),
        (changed(b"Hs", b"\x15\xd1"), "ndef.truncated"),
        (changed(b"Hs", b"\x15" + ndef.encode([ndef.Record(1, b"ac", b"", b"\x01\x05nfc")])), "handover.form"),
        (changed(b"Hs", b"\x15" + ndef.encode([ndef.Record(1, b"ac", b"", b"\x01\x03nfc")])), "handover.form"),
        (changed(b"Hs", b"\x15" + ndef.encode([ndef.Record(1, b"ac", b"", b"\x01\x03nfc\x02\x01a")])), "handover.form"),
        (changed(b"iso.org:18013:deviceengagement", None), "handover.no_engagement"),
        (changed(b"iso.org:18013:deviceengagement", b"\xa0"), "engagement.version"),
    ],
)
def test_a_handover_select_out_of_form_is_refused(message: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_handover_select(message)
    assert caught.value.code == code


NFC, OOB = b"iso.org:18013:nfc", b"application/vnd.bluetooth.le.oob"
MALFORMED = [
    (NFC, b""),
    (NFC, b"\x01\x03\x01\xff\xff"),
    (NFC, b"\x01\x03\x01\x00\x00\x03\x02\x00\x00"),
    (NFC, b"\x01\x09\x01\xff"),
    (OOB, b"\x05\x1c\x01"),
    (OOB, b"\x30\x07"),
]


@pytest.mark.parametrize(("kind", "payload"), MALFORMED)
def test_a_malformed_carrier_is_refused_alone_and_passed_over_beside_a_usable_one(kind: bytes, payload: bytes) -> None:
    handover = parse_handover_select(changed(kind, payload))
    assert (handover.nfc is None) == (kind == NFC) and (handover.ble is None) == (kind == OOB)
    other = ndef.parse(changed(kind, payload))
    alone = [record for record in other if record.type not in {NFC, OOB} - {kind}]
    with pytest.raises(FormatError, match=r"handover\.form"):
        parse_handover_select(ndef.encode(alone))


@pytest.mark.parametrize(
    "payload", [b"\x02\x03\x01\xff\xff\x04\x02\x01\x00\x00", b"\xa2\x00\x18\xff\x01\x19\x01\x00", b"\x00", b"\x11\x01"]
)
def test_an_nfc_carrier_of_an_unknown_version_is_passed_over(payload: bytes) -> None:
    handover = parse_handover_select(changed(NFC, payload))
    assert handover.nfc is None and handover.ble is not None and handover.ble.central


def offering(*records: ndef.Record, offered: tuple[bytes, ...]) -> bytes:
    """Return a Handover Select with these configuration records. The `ac` records of the Handover Select name
    `offered`, in that order.
    """
    carriers = [ndef.Record(1, b"ac", b"", bytes((1, len(each))) + each + b"\x00") for each in offered]
    device = next(record for record in ndef.parse(SELECT) if record.type == b"iso.org:18013:deviceengagement")
    return ndef.encode([ndef.Record(1, b"Hs", b"", b"\x15" + ndef.encode(carriers)), device, *records])


def oob(id: bytes, role: int, uuid: bytes) -> ndef.Record:
    return ndef.Record(ndef.MIME, OOB, id, bytes((2, 0x1C, role, 17, 7)) + bytes(reversed(uuid)))


ONE, TWO = bytes(range(16)), bytes(range(16, 32))


def test_carriers_of_kinds_that_we_do_not_know_are_passed_over() -> None:
    strange = [
        ndef.Record(ndef.MIME, b"application/vnd.wfa.nan", b"W", b"\xff\xff"),
        ndef.Record(ndef.MIME, b"application/vnd.bluetooth.ep.oob", b"B", b"\x08\x00\x11\x22\x33\x44\x55\x66"),
        ndef.Record(ndef.EXTERNAL, b"example.org:llcp", b"L", b""),
        ndef.Record(5, b"", b"U", b"of unknown type"),
    ]
    message = offering(*strange, oob(b"0", 1, ONE), offered=(b"W", b"B", b"L", b"U", b"gone", b"0"))
    handover = parse_handover_select(message)
    assert handover.nfc is None and handover.ble is not None and handover.ble.central_uuid == ONE
    assert parse_handover_select(offering(*strange, offered=(b"W", b"B", b"L", b"U"))).ble is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_configuration_record_that_no_ac_record_names_counts_for_nothing(order: tuple[int, int]) -> None:
    records = [oob(b"0", 1, ONE), oob(b"1", 1, TWO)]
    turned = [records[place] for place in order]
    handover = parse_handover_select(offering(*turned, offered=(b"0",)))
    assert handover.ble is not None and handover.ble.central_uuid == ONE
    assert parse_handover_select(offering(oob(b"1", 1, TWO), oob(b"", 1, ONE), offered=(b"0",))).ble is None


def test_of_several_ble_carriers_each_mode_is_of_the_first_that_offers_it() -> None:
    both = parse_handover_select(offering(oob(b"0", 1, ONE), oob(b"1", 0, TWO), offered=(b"1", b"0"))).ble
    assert both is not None and both.central and both.peripheral
    assert (both.central_uuid, both.peripheral_uuid) == (ONE, TWO)
    first = parse_handover_select(offering(oob(b"0", 1, ONE), oob(b"1", 1, TWO), offered=(b"1", b"0"))).ble
    assert first is not None and first.central and not first.peripheral and first.central_uuid == TWO


def test_of_several_nfc_carriers_the_first_that_we_can_read_counts() -> None:
    records = [
        ndef.Record(ndef.EXTERNAL, NFC, b"2", b"\x02\x01\x01"),
        ndef.Record(ndef.EXTERNAL, NFC, b"1", bytes.fromhex("010301010003020200")),
        ndef.Record(ndef.EXTERNAL, NFC, b"3", bytes.fromhex("010301ffff0402010000")),
    ]
    nfc = parse_handover_select(offering(*records, offered=(b"2", b"1", b"3"))).nfc
    assert nfc is not None and (nfc.max_command, nfc.max_response) == (256, 512)


def test_of_several_device_engagements_the_one_that_a_carrier_names_counts() -> None:
    device = next(record for record in ndef.parse(SELECT) if record.type == b"iso.org:18013:deviceengagement")
    other = ndef.Record(device.tnf, device.type, b"other", b"\xa0")
    carrier = ndef.Record(1, b"ac", b"", b"\x01\x010\x01" + bytes((len(device.id),)) + device.id)
    head = ndef.Record(1, b"Hs", b"", b"\x15" + ndef.encode([carrier]))
    for records in ([other, device], [device, other]):
        assert parse_handover_select(ndef.encode([head, *records, oob(b"0", 1, ONE)])).engagement.raw == ENGAGEMENT
    for records in ([device, device], [other, ndef.Record(device.tnf, device.type, b"third", b"\xa0")]):
        with pytest.raises(FormatError, match=r"ndef\.ambiguous"):
            parse_handover_select(ndef.encode([head, *records]))


def test_a_carrier_counts_only_if_it_is_offered() -> None:
    handover = parse_handover_select(changed(b"Hs", b"\x15"))
    assert handover.nfc is None and handover.ble is None


def test_without_a_role_ble_is_not_on_offer_and_unknown_fields_are_passed_over() -> None:
    kind = b"application/vnd.bluetooth.le.oob"
    assert parse_handover_select(changed(kind, b"\x02\x24\x00")).ble is None
    ble = parse_handover_select(changed(kind, b"\x03\x77\xc0\x00\x02\x1c\x01\x00garbage")).ble
    assert ble is not None and ble.central and not ble.peripheral and ble.central_uuid is None


def test_our_handover_request_is_that_of_an_independent_reader_byte_for_byte() -> None:
    uuid = bytes.fromhex("b3d52ac4a1b64b51a22e78ee55ef6eb6")
    assert handover_request(Nfc(0xFFFF, 0x10000), 3, uuid).hex() == DATA["handover_request"]


def test_a_missing_uuid_is_taken_from_our_request() -> None:
    uuid = bytes(range(16))
    select = changed(b"application/vnd.bluetooth.le.oob", b"\x02\x1c\x01")
    assert parse_handover_select(select).ble.central_uuid is None  # type: ignore[union-attr]  # it is not None
    ble = parse_handover_select(select, handover_request(None, 0, uuid)).ble
    assert ble is not None and ble.central_uuid == uuid


@vectors.needed
def test_the_handover_of_annex_d_is_read() -> None:
    said = vectors.load("annex_d/eudi_ios_annex_d.json")["MdocSecurityTestData.swift"]
    select, request = (bytes.fromhex(said[f"d52_nfcHandover{which}"]) for which in ("Select", "Request"))
    handover = parse_handover_select(select, request)
    assert handover.nfc is None and handover.item() == [select, request]
    assert handover.ble is not None and handover.ble.central and not handover.ble.peripheral
    assert handover.ble.address == bytes.fromhex("2828378b1228")
    assert handover.ble.central_uuid is not None  # The UUID comes from the request.


@given(st.integers(0, len(SELECT) - 1), st.integers(0, 255), st.integers(0, len(SELECT)))
def test_no_change_to_a_handover_makes_it_fail_otherwise_than_by_our_errors(at: int, byte: int, end: int) -> None:
    damaged = bytearray(SELECT)
    damaged[at] = byte
    for message in (bytes(damaged), bytes(damaged[:end])):
        try:
            parse_handover_select(message)
        except MooringError:
            continue
