"""BLE retrieval without a radio: Ident, UUIDs, parts, advertisements, and carriers offered in handovers."""

import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from protocol import crypto_cpython as crypto
from protocol.mdoc import ble
from protocol.mdoc.engagement import parse_device_engagement
from protocol.mdoc.handover import handover_request, parse_handover_select
from sim.phone import engagement
from sim.phone.ble import BleJob
from sim.phone.engagement import BleOffer
from tests.support import vectors


@vectors.needed
def test_ident_and_uuid_are_those_of_the_published_engagement() -> None:
    session = vectors.load("session.json")
    device = parse_device_engagement(bytes.fromhex(session["device_engagement_nfc"]))
    assert ble.ident(crypto, device.e_device_key_bytes).hex() == session["ble_ident"]
    handover = parse_handover_select(bytes.fromhex(session["handover_select"]))
    assert handover.ble is not None and handover.ble.central_uuid is not None
    assert ble.uuid_text(handover.ble.central_uuid) == session["ble_uuid"]


def test_ident_is_another_for_another_key() -> None:
    assert ble.ident(crypto, b"one") != ble.ident(crypto, b"two")


def test_the_phone_derives_the_same_ident_by_other_means() -> None:
    key = engagement.e_device_key_bytes(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert BleJob("central", uuid.uuid4(), key).ident() == ble.ident(crypto, key)


@vectors.needed
def test_the_wallets_handovers_that_we_hold_all_lead_to_the_lock_as_server_or_carry_no_ble() -> None:
    """In each recorded exchange that offers BLE, this lock can be the server.

    The UUID of the service comes from the phone, or from the lock if the phone names no UUID.
    """
    request = handover_request(None, ble.READER_ROLE, bytes(range(16)))
    found = 0
    for text in _messages(vectors.load("nfc/handover_transcripts.json")):
        handover = parse_handover_select(text, request)
        if handover.ble is not None:
            found += 1
            assert handover.ble.central and handover.ble.central_uuid is not None
    assert found >= 3


def _messages(data: object) -> list[bytes]:
    """Return every Handover Select in the transcripts."""
    if isinstance(data, dict):
        return [message for value in data.values() for message in _messages(value)]
    if isinstance(data, list):
        return [message for value in data for message in _messages(value)]
    raw = bytes.fromhex(data) if isinstance(data, str) and data.startswith("9102") else b""
    return [raw.removesuffix(b"\x90\x00")] if raw else []


UUIDS = st.binary(min_size=16, max_size=16)


@given(UUIDS)
def test_an_advertisement_fits_and_names_its_service_and_no_other(service: bytes) -> None:
    data = ble.advertisement(service)
    assert len(data) <= 31 and ble.advertises(data, service)
    assert not ble.advertises(data, bytes([service[0] ^ 1]) + service[1:])
    assert ble.uuid_text(service) == str(uuid.UUID(bytes=service))


@given(st.binary(max_size=62), UUIDS)
def test_no_advertisement_of_others_makes_the_scan_fail(data: bytes, service: bytes) -> None:
    assert ble.advertises(memoryview(data), service) in (True, False)


def test_a_service_is_found_among_several_and_beside_other_data() -> None:
    one, two = bytes(range(16)), bytes(range(16, 32))
    data = b"\x02\x01\x06\x21\x06" + one[::-1] + two[::-1] + b"\x03\x09hi"
    assert ble.advertises(data, one) and ble.advertises(data, two)
    assert not ble.advertises(data[:-25], two)


@given(st.binary(min_size=16, max_size=16))
def test_a_new_uuid_is_a_version_4_uuid(random: bytes) -> None:
    made = uuid.UUID(bytes=ble.new_uuid(random))
    assert made.version == 4 and made.variant == uuid.RFC_4122


@pytest.mark.parametrize("modes", [{"central"}, {"peripheral"}, {"central", "peripheral"}])
def test_what_the_phone_offers_is_what_the_lock_understands(modes: set[engagement.Mode]) -> None:
    said = engagement.device_engagement(ec.generate_private_key(ec.SECP256R1()).public_key())
    service = uuid.uuid4()
    offer = BleOffer(frozenset(modes), service)
    handover = parse_handover_select(engagement.handover_select(said, 255, 256, nfc=False, ble=offer))
    assert handover.nfc is None and handover.ble is not None
    assert (handover.ble.central, handover.ble.peripheral) == ("central" in modes, "peripheral" in modes)
    assert handover.ble.central_uuid == (service.bytes if "central" in modes else None)
    assert handover.ble.peripheral_uuid == (service.bytes if "peripheral" in modes else None)


def test_a_phone_that_leaves_the_uuid_to_us_takes_the_one_of_our_request() -> None:
    said = engagement.device_engagement(ec.generate_private_key(ec.SECP256R1()).public_key())
    ours = ble.new_uuid(bytes(range(16)))
    request = handover_request(None, ble.READER_ROLE, ours)
    select = engagement.handover_select(said, 255, 256, nfc=False, ble=BleOffer(frozenset({"central"}), None))
    handover = parse_handover_select(select, request)
    assert handover.ble is not None and handover.ble.central_uuid == ours
    found = engagement.requested_uuid(request)
    assert found is not None and found.bytes == ours
