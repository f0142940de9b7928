"""The door either makes a record and then moves the strike, or does neither. Tests also check what the door shows."""

import asyncio
import weakref
from pathlib import Path

import pytest

from firmware.door.claims import DocumentClaim
from firmware.door.policy import Decision
from firmware.lock import Lock
from firmware.memory import identity
from firmware.memory.store import Store
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.errors import FormatError, RefusedError, StorageError, TransportError, VerificationError
from sim.board.memory_flash import MemoryFlash
from sim.platform import Guest, Platform
from tests.support.door_bench import NOW, PLATFORM, Bench
from tests.support.placed_lock import LISTING, PROVINCE

ANN, BEN = Guest("A1", "1990-03-07"), Guest("B2", "1991-04-08")
KIM = Guest("K3", "2015-06-01", adult=2, relation="parent")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def book(bench: Bench, *guests: Guest, platform: Platform = PLATFORM, places: int | None = None) -> None:
    public = bench.lock.identity.public
    booking = platform.book(public, LISTING, bench.now - 99, bench.now + 86400, list(guests), places)
    assert bench.lock.deliver(platform.grant(booking)) == ("grant", None)


def told(outcome: object) -> dict[int, object]:
    assert isinstance(outcome, dict), outcome
    return outcome


def test_each_opening_is_recorded_before_the_strike_moves_and_says_who_stays(bench: Bench) -> None:
    book(bench, ANN, BEN)
    first, again, second = told(bench.come(ANN)), told(bench.come(ANN)), told(bench.come(BEN))
    kinds = [(body[record.KIND], body[record.GUEST]) for body in (first, again, second)]
    assert kinds == [(record.CHECK_IN, 1), (record.ENTRY, 1), (record.CHECK_IN, 2)]
    until = NOW + 86400
    # The stay has two places. At the first two openings, only one guest had registered.
    occupancy = [body[record.OCCUPANCY] for body in (first, again, second)]
    assert occupancy == [[2, 1, 1, until], [2, 1, 2, until], [2, 2, 3, until]]
    assert record.FIELDS in first and record.FIELDS not in again


def test_a_child_is_registered_with_the_parent_whom_the_booking_states(bench: Bench) -> None:
    book(bench, ANN, BEN, KIM)
    assert bench.come(KIM) == "grant.guardian"
    told(bench.come(ANN))
    told(bench.come(BEN))
    fields = told(bench.come(KIM))[record.FIELDS]
    assert isinstance(fields, dict)
    assert (fields["guardian"], fields["relation"]) == ("2", "parent")


def test_a_tie_to_nobody_is_refused(bench: Bench) -> None:
    book(bench, ANN, Guest("K3", "2015-06-01", adult=9, relation="parent"))
    told(bench.come(ANN))
    assert bench.come(KIM) == "grant.tie"


def test_without_its_papers_the_lock_opens_for_nobody(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    identity.enrol(crypto, store, PROVINCE[1])
    own = identity.load(crypto, store)
    assert own is not None
    with pytest.raises(RefusedError, match=r"door\.unplaced"):
        Lock(crypto, store, own, MemoryFlash(8), lambda: None).trusted.in_force()


def test_a_profile_that_the_placement_does_not_name_is_no_paper(bench: Bench) -> None:
    book(bench, ANN)
    assert bench.lock.trusted.placement is not None
    bench.lock.trusted.placement.profile_id = "ES"
    assert bench.come(ANN) == "door.unplaced"


def test_running_stays_outlive_a_change_of_the_platform_and_its_key(bench: Bench) -> None:
    book(bench, ANN, BEN)
    told(bench.come(ANN))
    bench.place(platform=Platform().public)
    for _ in range(2):
        assert told(bench.come(ANN))[record.KIND] == record.ENTRY
        bench.reboot()
    bench.tell_time(bench.now)
    assert told(bench.come(BEN))[record.KIND] == record.CHECK_IN


def test_a_check_in_needs_room_in_the_journal_and_an_entry_does_not(bench: Bench) -> None:
    book(bench, ANN, BEN)
    told(bench.come(ANN))
    while bench.lock.journal.free_sectors() >= 4:
        told(bench.come(ANN))
        bench.wait(601)
    assert bench.come(BEN) == "journal.full"
    assert told(bench.come(ANN))[record.KIND] == record.ENTRY
    bench.receipt(bench.now)
    assert told(bench.come(BEN))[record.KIND] == record.CHECK_IN


@pytest.mark.parametrize(
    ("error", "signal"),
    [
        (TransportError("nfc.gone", ""), "again"),
        (StorageError("journal.flash", ""), "fault"),
        (RefusedError("grant.none", ""), "refused_stay"),
        (VerificationError("mdoc.expired", ""), "refused_document"),
        (RefusedError("pin.wait", ""), "busy"),
        (FormatError("cbor.form", ""), "refused_phone"),
        (MemoryError(), "fault"),
        (ZeroDivisionError(), "fault"),
    ],
)
def test_whatever_goes_wrong_on_arrival_the_door_stays_shut_and_says_so(
    bench: Bench, error: Exception, signal: str
) -> None:
    book(bench, ANN)
    assert isinstance(bench.serve(error), str)
    assert [name for name, _ in bench.outputs.seen] == ["reading", signal]
    told(bench.come(ANN))


def test_a_strike_that_cannot_be_moved_is_a_fault_and_the_door_lives_on(
    bench: Bench,
) -> None:
    book(bench, ANN)
    bench.outputs.jammed = True
    asyncio.run(bench.door.enter("1234567"))  # this is not a PIN, so nothing moves
    asyncio.run(bench.door.serve(arrives(bench, ANN)))
    bench.outputs.jammed = False
    assert [name for name, _ in bench.outputs.seen][-2:] == ["reading", "fault"]
    assert told(bench.come(ANN))[record.KIND] == record.ENTRY  # the check-in was recorded, although the strike failed


async def arrives(bench: Bench, guest: Guest) -> Decision:
    return bench.door._decide([bench.claim(guest)])


@pytest.mark.parametrize("pin", ["12345678", "1234"])
def test_a_pin_typed_while_a_phone_is_read_is_answered_aside_and_takes_nothing_from_it(bench: Bench, pin: str) -> None:
    book(bench, ANN)
    room: list[bool] = []

    async def slowly() -> Decision:
        await bench.door.enter(pin)
        room.append(bench.lock.visits._kept is None)
        return await arrives(bench, ANN)

    bench.lock.visits.keep_room()
    asyncio.run(bench.door.serve(slowly()))
    assert [name for name, _ in bench.outputs.seen] == ["reading", "aside refused_stay", "open", "allowed"]
    assert room == [True]
    assert not bench.lock.visits.going_on and bench.lock.visits._kept is not None


def test_what_a_guest_showed_is_dead_when_the_door_collects_for_the_last_time(bench: Bench) -> None:
    book(bench, ANN)
    shown: list[weakref.ref[DocumentClaim]] = []
    alive: list[bool] = []

    async def arrival() -> Decision:
        claim = bench.claim(ANN)
        shown.append(weakref.ref(claim))
        return bench.door._decide([claim])

    bench.on_collect = lambda: alive.append(any(each() is not None for each in shown))
    for _ in ("check-in", "entry"):
        asyncio.run(bench.door.serve(arrival()))
        assert alive[-2:] == [True, False]
    assert bench.lock.journal.next_counter == 3


def test_an_arrival_without_claims_is_nobody(bench: Bench) -> None:
    book(bench, ANN)
    assert bench.serve([]) == "grant.none"


def test_a_claim_knows_its_guest_under_the_key_of_each_stay(bench: Bench) -> None:
    book(bench, ANN)
    other = Platform()
    bench.place(platform=other.public)
    book(bench, ANN, platform=other)
    claim: DocumentClaim = bench.claim(ANN)
    known = [claim.known(stay) for stay in bench.lock.stays.all()]
    assert len({commitment for _, commitment, _, _ in known}) == 2
    assert all(named for _, _, named, _ in known)
