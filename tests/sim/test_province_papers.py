"""The statements that the province sends to a lock: time, placement, lists, grants. Some locks get no statement."""

from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol import placement, statement, uplink
from protocol.errors import ConfigError, FormatError, VerificationError
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.revocation_list import MAX_CONTENT, RevocationList
from protocol.signed_time import SignedTime
from protocol.trust import CRL, Issuer, ListEntry, TrustList
from sim.platform import Guest, Platform
from sim.province import Province
from tests.support.chain import NOW, Chain
from tests.support.edge_side import EDGE, deliver, kinds, place, receipts, seen


def test_a_lock_is_told_the_time_against_its_own_nonce(province: Province, chain: Chain) -> None:
    nonce = bytes(range(16))
    [(_, leaf, payload)] = province.registry.handle(EDGE, uplink.TimeRequest(chain.lock_id, nonce).encode())
    command = uplink.parse_command(payload)
    told = SignedTime.parse(statement.open(crypto, command.statements[0], "time", province.public))
    assert (leaf, command.lock_id) == (uplink.CMD, chain.lock_id)
    assert (told.nonce, told.time, told.lock_id) == (nonce, NOW + 5, chain.lock_id)


def test_nobody_is_told_the_time_for_a_lock_that_is_not_registered(province: Province) -> None:
    assert province.registry.handle(EDGE, uplink.TimeRequest(bytes(16), bytes(16)).encode()) == []


def test_a_lock_that_holds_nothing_is_sent_all_it_needs_and_then_no_more(province: Province, chain: Chain) -> None:
    province.trust([Issuer(b"\x30\x01", ["org.iso.18013.5.1.mDL"])])
    assert kinds(seen(province, chain, {})) == ["placement", "profile", "trust-list"]
    assert kinds(seen(province, chain, {"placement": 1, "profile": 1, "trust-list": 1})) == []
    province.trust([Issuer(b"\x30\x02", ["org.iso.18013.5.1.mDL"])])
    province.set_status(chain.lock_id, placement.SUSPENDED)
    assert kinds(seen(province, chain, {"placement": 1, "profile": 1, "trust-list": 1})) == ["placement", "trust-list"]


def test_a_lock_is_sent_each_list_that_it_does_not_hold_in_its_newest_form(province: Province, chain: Chain) -> None:
    province.trust([Issuer(b"\x30\x01", ["org.iso.18013.5.1.mDL"])], [ListEntry(1, CRL, 0), ListEntry(2, CRL, 0)])
    province.publish_list(1, b"first")
    province.publish_list(2, b"other")
    papers = {"placement": 1, "profile": 1, "trust-list": 1}
    assert kinds(seen(province, chain, {})) == [*papers, "revocation-list", "revocation-list"]
    assert kinds(seen(province, chain, {**papers, "revocation-list.1": 1, "revocation-list.2": 1})) == []
    province.publish_list(2, b"newer")
    (lacked,) = province.registry.lacking(
        province.store.locks()[0], {**papers, "revocation-list.1": 1, "revocation-list.2": 1}
    )
    form = RevocationList.parse(statement.open(crypto, lacked, "revocation-list", province.public))
    assert (form.serial, form.number, form.content) == (2, 2, b"newer")


def test_a_list_too_long_for_a_lock_is_not_published(province: Province) -> None:
    with pytest.raises(FormatError) as refusal:
        province.publish_list(1, bytes(MAX_CONTENT + 1))
    assert refusal.value.code == "revocation-list.form"


def test_what_a_lock_is_sent_is_in_the_form_that_a_lock_reads(province: Province, chain: Chain) -> None:
    issuer = Issuer(b"\x30\x01", ["org.iso.18013.5.1.mDL", "eu.europa.ec.eudi.pid.1"])
    province.trust([issuer])
    forms: dict[str, Any] = {"placement": Placement, "profile": Profile, "trust-list": TrustList}
    held = {
        kind: form.parse(statement.open(crypto, data, kind, province.public))
        for data, (kind, form) in zip(province.statements_for(chain.lock_id), forms.items(), strict=True)
    }
    assert held["placement"].lock_id == chain.lock_id and held["placement"].sealing_key == province.keys.sealing_public
    assert [each.body() for each in held["trust-list"].issuers] == [issuer.body()] and held[
        "trust-list"
    ].issued_at == NOW + 5
    assert held["profile"].id == held["placement"].profile_id == "CN"


def test_a_lost_receipt_is_said_again_when_the_lock_is_seen(province: Province, chain: Chain) -> None:
    deliver(province, *chain.records)
    held = {"placement": 1, "profile": 1, "trust-list": 1}
    [(leaf, payload)] = seen(province, chain, held)
    assert leaf == uplink.RECEIPT
    assert [r.through for r in receipts(province, uplink.parse_receipts(payload).statements)] == [5]


def test_a_sighting_with_another_key_than_the_registered_one_is_not_answered(province: Province, chain: Chain) -> None:
    message = uplink.LockSeen(chain.lock_id, crypto.generate("P-256")[1], {}).encode()
    assert province.registry.handle(EDGE, message) == []
    assert province.store.tally() == {"sightings of unknown locks": 1}


def test_a_change_of_placement_has_a_higher_serial(province: Province, chain: Chain, platform: Platform) -> None:
    assert place(province, chain, platform).serial == 2
    signed = province.set_status(chain.lock_id, placement.REVOKED)
    form = Placement.parse(statement.open(crypto, signed, "placement", province.public))
    assert (form.serial, form.status, form.reader_chain) == (3, "revoked", [b"\x30\x00"])


def test_one_room_has_one_code_and_one_lock_and_the_refusal_names_both_sides(
    province: Province, chain: Chain, platform: Platform
) -> None:
    other = Chain(province.keys.sealing_public)
    with pytest.raises(ConfigError) as caught:
        place(province, other, platform, "HZ-0001")
    assert caught.value.code == "placement.listing_taken"
    assert other.lock_id.hex() in caught.value.message and chain.lock_id.hex() in caught.value.message
    with pytest.raises(ConfigError) as caught:
        place(province, chain, platform, "HZ-0002")
    assert caught.value.code == "placement.lock_taken"
    assert "HZ-0001" in caught.value.message and "HZ-0002" in caught.value.message
    province.set_status(chain.lock_id, placement.REVOKED)
    assert place(province, other, platform).listing == "HZ-0001"


def test_a_grant_is_relayed_while_its_stay_lasts_and_its_newest_form_only(
    province: Province, chain: Chain, platform: Platform
) -> None:
    over = platform.book(chain.public, "HZ-0001", NOW - 200, NOW - 100, [])
    stay = platform.book(chain.public, "HZ-0001", NOW, NOW + 3600, [Guest("E1", "1990-03-07")])
    longer = platform.change(stay, until=NOW + 7200)
    for booking in (over, longer, stay):
        province.queue_grant(chain.lock_id, platform.grant(booking))
    [(_, payload)] = seen(province, chain, {"placement": 1, "profile": 1})
    [relayed] = uplink.parse_command(payload).statements
    assert statement.open(crypto, relayed, "grant", platform.public)[3] == 2


def test_a_lock_with_more_grants_than_one_message_holds_is_sent_them_all(
    province: Province, chain: Chain, platform: Platform
) -> None:
    stays = [platform.book(chain.public, "HZ-0001", NOW, NOW + 3600 + number, []) for number in range(300)]
    with province.store.transaction():
        for stay in stays:
            province.store.put_grant(chain.lock_id, stay.grant_id, 1, stay.until, platform.grant(stay))
    answers = seen(province, chain, {})
    assert len(answers) == 2 and kinds(answers).count("grant") == 300


def test_a_grant_that_another_platform_signed_is_not_relayed(province: Province, chain: Chain) -> None:
    stranger = Platform()
    forged = stranger.grant(stranger.book(chain.public, "HZ-0001", NOW, NOW + 3600, []))
    with pytest.raises(VerificationError) as caught:
        province.queue_grant(chain.lock_id, forged)
    assert caught.value.code == "cose.signature"
    with pytest.raises(ConfigError):
        province.queue_grant(bytes(16), forged)
