"""From a courier, the lock accepts a statement only if it is newer, is for this lock, and has the signature of the
province or the platform.
"""

import gc
from pathlib import Path
from typing import Any

import pytest

from firmware.hardware import ticks
from firmware.lock import Lock
from firmware.memory import identity, journal_notes, stays
from firmware.memory.store import Store
from protocol import cbor, record, statement
from protocol import crypto_cpython as crypto
from protocol.edge_pass import EdgePass
from protocol.errors import StorageError
from protocol.grant import Grant, commitment
from protocol.listing_code import ListingCode
from protocol.naming import identities
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.refusal import EQUIVOCATION, Refusal
from protocol.signed_time import SignedTime
from protocol.trust import Issuer, TrustList
from sim import pki
from sim.board.memory_flash import MemoryFlash
from sim.platform import Guest
from tests.support import chip_ticks

PROVINCE = crypto.generate("P-256")
PLATFORM = crypto.generate("P-256")
SEALING = crypto.generate("P-256")
NOW = 1_800_000_000
BEN = stays.Guest.of(b"b" * 32, True, True)


class Bench:
    """A lock for tests. The lock's folder and flash survive `reboot`."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder))
        self.flash = MemoryFlash(8)
        self.request = cbor.decode(identity.enrol(crypto, self.store, PROVINCE[1]))
        self.lock = self.reboot()

    def reboot(self) -> Lock:
        own = identity.load(crypto, self.store)
        assert own is not None
        self.lock = Lock(crypto, self.store, own, self.flash, lambda: None)
        return self.lock

    def placement(self, serial: int = 1, lock_id: bytes | None = None, status: str = "active") -> bytes:
        body = Placement(
            serial,
            lock_id or self.lock.identity.lock_id,
            "HZ-1",
            status,
            PLATFORM[1],
            SEALING[1],
            "CN",
            "302",
            [b"c"],
            "named",
            1,
        ).body()
        return statement.sign(crypto, PROVINCE[0], "placement", body)

    def grant(self, serial: int = 1, signer: bytes = PLATFORM[0], **changes: object) -> bytes:
        fields: dict[str, object] = {
            "grant_id": b"G" * 16,
            "serial": serial,
            "listing": "HZ-1",
            "valid_from": NOW - 100,
            "until": NOW + 86400,
            "guests": 2,
            "commitments": [b"a" * 32, b"b" * 32],
            "cancelled": False,
        }
        fields.update(changes)
        fields.setdefault("horizon", fields["until"])
        fields.setdefault("ties", bytes(2 * len(fields["commitments"])))  # type: ignore[arg-type]  # a list
        return statement.sign(crypto, signer, "grant", Grant(**fields).body())  # type: ignore[arg-type]  # by keyword

    def append(self, note: bytes) -> None:
        """Append a record to the lock's journal."""
        lock = self.lock
        body = {
            record.KIND: record.ENTRY,
            record.EARLIEST: 1,
            record.LATEST: None,
            record.LISTING_CODE: "HZ-1",
            record.GRANT_ID: b"G" * 16,
            record.GUEST: 1,
            record.PROFILE_ID: "CN",
            record.METHOD: "mdoc",
            record.COUNT: 1,
            record.OCCUPANCY: [2, 1, 1, NOW],
        }
        place = lock.journal.place()
        payload = record.seal(crypto, SEALING[1], lock.identity.lock_id, *place, body)
        made = record.sign(crypto, lock.identity.private, payload)
        lock.journal.append(place, record.payload_hash(payload), made, note)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # A collection would take a tenth of a second in the large heap of a test run. Only the lock needs collections.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    return Bench(tmp_path)


def test_enrolment_is_signed_by_the_key_it_names_and_asks_for_the_same_lock_again(bench: Bench) -> None:
    version, public, reader_public, signature = bench.request
    claim = cbor.encode([version, public, reader_public])
    assert crypto.verify("P-256", public, "SHA-256", claim, signature)
    assert cbor.decode(identity.enrol(crypto, bench.store, PROVINCE[1]))[1:3] == [public, reader_public]


def test_a_lock_of_one_province_cannot_be_enrolled_by_another(bench: Bench) -> None:
    with pytest.raises(StorageError, match=r"identity\.anchored"):
        identity.enrol(crypto, bench.store, PLATFORM[1])


def test_a_placement_by_the_province_is_taken_and_survives_a_reboot(bench: Bench) -> None:
    assert bench.lock.deliver(bench.placement()) == ("placement", None)
    assert bench.reboot().trusted.serials() == {"placement": 1}


def test_a_placement_by_anyone_else_is_refused(bench: Bench) -> None:
    forged = statement.sign(
        crypto, PLATFORM[0], "placement", statement.open(crypto, bench.placement(), "placement", PROVINCE[1])
    )
    assert bench.lock.deliver(forged) == ("placement", "cose.signature")
    assert bench.lock.trusted.placement is None


def test_a_placement_for_another_lock_is_refused(bench: Bench) -> None:
    assert bench.lock.deliver(bench.placement(lock_id=bytes(16))) == ("placement", "placement.lock")


def test_an_older_placement_cannot_come_back(bench: Bench) -> None:
    old = bench.placement(serial=1)
    bench.lock.deliver(bench.placement(serial=2, status="suspended"))
    assert bench.lock.deliver(old) == ("placement", "placement.serial")
    assert bench.reboot().deliver(old) == ("placement", "placement.serial")


def test_the_same_placement_again_is_no_error(bench: Bench) -> None:
    same = bench.placement()
    bench.lock.deliver(same)
    assert bench.lock.deliver(same) == ("placement", None)


def test_one_kind_of_statement_cannot_pass_for_another(bench: Bench) -> None:
    body = TrustList(1, NOW, [Issuer(b"der", ["org.iso.18013.5.1.mDL"])]).body()
    relabelled = statement.sign(crypto, PROVINCE[0], "placement", body)
    assert bench.lock.deliver(relabelled)[1] == "placement.form"


def test_a_refusal_of_records_or_whatever_else_the_province_signs_for_others_is_no_statement_for_a_lock(
    bench: Bench,
) -> None:
    lock_id = bench.lock.identity.lock_id
    forms: dict[str, Any] = {
        "refusal": Refusal(lock_id, NOW, [(1, bytes(32), EQUIVOCATION)]),
        "edge-pass": EdgePass(NOW, "edge-1", PLATFORM[1], NOW + 1, [lock_id]),
        "listing-code": ListingCode("HZ-1", "302", 1, "HTTPS://CODE.EXAMPLE/L/", NOW),
    }
    for kind, form in forms.items():
        signed = statement.sign(crypto, PROVINCE[0], kind, form.body())
        assert bench.lock.deliver(signed) == (kind, "statement.kind")
    assert bench.lock.hello().receipted_through == 0 and bench.lock.hello().held == {}


def test_garbage_is_refused_with_a_code(bench: Bench) -> None:
    for garbage in (b"", b"\xff", b"\x80", bytes(300), b"\x9f" * 100):
        kind, code = bench.lock.deliver(garbage)
        assert kind == "?" and code is not None


def test_a_grant_needs_the_platform_that_the_placement_names(bench: Bench) -> None:
    assert bench.lock.deliver(bench.grant()) == ("grant", "door.unplaced")
    bench.lock.deliver(bench.placement())
    assert bench.lock.deliver(bench.grant(signer=PROVINCE[0])) == ("grant", "cose.signature")
    assert bench.lock.deliver(bench.grant(listing="HZ-2")) == ("grant", "grant.listing")
    assert bench.lock.deliver(bench.grant()) == ("grant", None)


def test_an_older_grant_cannot_undo_a_cancellation(bench: Bench) -> None:
    bench.lock.deliver(bench.placement())
    bench.lock.deliver(bench.grant(serial=1))
    bench.lock.deliver(bench.grant(serial=2, cancelled=True))
    assert bench.lock.deliver(bench.grant(serial=1)) == ("grant", "grant.serial")
    assert bench.reboot().stays.all() == []
    assert bench.lock.deliver(bench.grant(serial=1)) == ("grant", "grant.serial")
    assert bench.lock.deliver(bench.grant(serial=3)) == ("grant", "grant.closed")


def test_a_stay_that_is_over_is_refused_once_the_clock_knows(bench: Bench) -> None:
    bench.lock.deliver(bench.placement())
    nonce = bench.lock.clock.nonce()
    assert nonce is not None
    body = SignedTime(nonce, NOW, bench.lock.identity.lock_id).body()
    assert bench.lock.deliver(statement.sign(crypto, PROVINCE[0], "time", body)) == ("time", None)
    assert bench.lock.deliver(bench.grant(valid_from=1, until=NOW - 1)) == ("grant", "grant.over")


def test_more_stays_than_a_room_can_have_are_refused(bench: Bench) -> None:
    bench.lock.deliver(bench.placement())
    for number in range(stays.MAX_STAYS):
        assert bench.lock.deliver(bench.grant(grant_id=bytes([number]) * 16)) == ("grant", None)
    assert bench.lock.deliver(bench.grant(grant_id=b"\xee" * 16)) == ("grant", "grant.many")


def test_a_signed_time_by_the_edge_agent_is_refused(bench: Bench) -> None:
    nonce = bench.lock.clock.nonce()
    assert nonce is not None
    body = SignedTime(nonce, NOW, bench.lock.identity.lock_id).body()
    assert bench.lock.deliver(statement.sign(crypto, PLATFORM[0], "time", body)) == ("time", "cose.signature")
    assert bench.lock.clock.interval()[1] is None


def trust_list(serial: int, issued_at: int) -> bytes:
    root = pki.authority("IACA", "SE").der
    body = TrustList(serial, issued_at, [Issuer(root, ["org.iso.18013.5.1.mDL"])]).body()
    return statement.sign(crypto, PROVINCE[0], "trust-list", body)


def test_the_floor_rises_with_the_trust_list_and_with_receipts_and_no_older_one_lowers_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = ticks.now()
    chip_ticks.stand_in(monkeypatch, lambda: began)
    bench.lock.deliver(bench.placement())
    assert bench.lock.deliver(trust_list(1, NOW)) == ("trust-list", None)
    assert bench.lock.clock.interval() == (NOW, None)
    assert bench.reboot().clock.interval() == (NOW, None)
    bench.append(journal_notes.opening(b"G" * 16))
    late = Receipt(bench.lock.identity.lock_id, 1, bench.lock.journal.head, NOW + 60)
    assert bench.lock.deliver(statement.sign(crypto, PROVINCE[0], "receipt", late.body())) == ("receipt", None)
    assert bench.lock.clock.interval()[0] == NOW + 60
    assert bench.lock.deliver(trust_list(2, NOW - 60)) == ("trust-list", None)
    assert bench.lock.clock.interval()[0] == NOW + 60


def test_a_stay_that_ended_while_the_lock_ran_is_over_after_a_power_cut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.lock.deliver(bench.placement())
    nonce = bench.lock.clock.nonce()
    assert nonce is not None
    body = SignedTime(nonce, NOW, bench.lock.identity.lock_id).body()
    assert bench.lock.deliver(statement.sign(crypto, PROVINCE[0], "time", body)) == ("time", None)
    bench.lock.deliver(bench.grant(until=NOW + 20))
    began = ticks.now()
    chip_ticks.stand_in(monkeypatch, lambda: began + 30_000)
    bench.lock.tick()
    assert bench.reboot().clock.interval()[0] > NOW + 20


def test_a_trust_list_by_anyone_else_raises_no_floor(bench: Bench) -> None:
    body = statement.open(crypto, trust_list(1, NOW), "trust-list", PROVINCE[1])
    forged = statement.sign(crypto, PLATFORM[0], "trust-list", body)
    assert bench.lock.deliver(forged) == ("trust-list", "cose.signature")
    assert bench.lock.clock.interval() == (0, None)


def test_only_a_receipt_by_the_province_for_this_lock_ends_custody(bench: Bench) -> None:
    lock = bench.lock
    bench.append(journal_notes.opening(b"G" * 16))
    mine = Receipt(lock.identity.lock_id, 1, lock.journal.head, NOW)
    other = Receipt(bytes(16), 1, lock.journal.head, NOW)
    assert lock.deliver(statement.sign(crypto, PLATFORM[0], "receipt", mine.body()))[1] == "cose.signature"
    assert lock.deliver(statement.sign(crypto, PROVINCE[0], "receipt", other.body()))[1] == "receipt.lock"
    assert len(list(lock.records_from(1))) == 1
    assert lock.deliver(statement.sign(crypto, PROVINCE[0], "receipt", mine.body())) == ("receipt", None)
    assert list(lock.records_from(1)) == []


def test_a_check_in_whose_checkpoint_was_lost_to_a_power_cut_is_known_from_the_journal(bench: Bench) -> None:
    bench.lock.deliver(bench.placement())
    bench.lock.deliver(bench.grant())
    bench.append(journal_notes.opening(b"G" * 16, BEN.pack()))
    # The power fails before the checkpoint.
    assert [guest.commitment for guest in bench.reboot().stays.all()[0].guests] == [b"b" * 32]


def test_a_changed_guest_list_keeps_who_is_in(bench: Bench) -> None:
    bench.lock.deliver(bench.placement())
    bench.lock.deliver(bench.grant())
    bench.append(journal_notes.opening(b"G" * 16, BEN.pack()))
    bench.lock.deliver(bench.grant(serial=2, commitments=[b"b" * 32, b"c" * 32]))
    assert bench.lock.stays.all()[0].present() == [1]
    bench.lock.deliver(bench.grant(serial=3, commitments=[b"a" * 32, b"c" * 32]))
    assert bench.reboot().stays.all()[0].present() == [], "a guest whom it no longer names stays out"


def test_the_platform_and_the_lock_derive_the_same_commitments(bench: Bench) -> None:
    from protocol.grant import commitment_key

    bench.lock.deliver(bench.placement())
    theirs = commitment_key(crypto, PLATFORM[0], bench.lock.identity.public)
    mine = bench.lock.commitment_keys.of(PLATFORM[1])
    ann = Guest("ab 123", "1990-01-01").identity()
    shown = identities("photo-id", "SE", "AB123", "ANN", "1990-01-01", False)[1]
    assert ann is not None
    assert commitment(crypto, mine, b"G" * 16, shown) == commitment(crypto, theirs, b"G" * 16, ann)
    courier = commitment_key(crypto, crypto.generate("P-256")[0], bench.lock.identity.public)
    assert courier != mine


def test_a_statement_swapped_in_flash_stops_the_boot(bench: Bench) -> None:
    bench.lock.deliver(bench.placement())
    forged = statement.sign(
        crypto, PLATFORM[0], "placement", statement.open(crypto, bench.placement(), "placement", PROVINCE[1])
    )
    bench.store.write("placement", forged)
    with pytest.raises(Exception, match=r"cose\.signature"):
        bench.reboot()
