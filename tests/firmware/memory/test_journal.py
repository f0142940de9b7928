"""The journal keeps all records that it acknowledged, in spite of power cuts, full rings and receipts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.memory.journal import Journal
from protocol import cbor, cose, crypto_cpython, record
from protocol.errors import StorageError, VerificationError
from sim.board.memory_flash import SECTOR, MemoryFlash
from sim.board.nor_flash import PowerCut

LOCK_ID = bytes(16)
NOTE = cbor.encode([bytes(16), 1])


def make_record(counter: int, previous: bytes, size: int = 400) -> bytes:
    """Return a record in its real form. The signature of the record is wrong, but the journal does not check
    signatures.
    """
    payload = cbor.encode([1, LOCK_ID, counter, previous, bytes(size)])
    protected = cbor.encode({cose.ALG: cose.ES256, cose.TYP: "mooring/record"})
    return cbor.encode([protected, {}, payload, crypto_cpython.digest("SHA-256", payload) * 2])


def append(journal: Journal, size: int = 400) -> bytes:
    made = make_record(*journal.place(), size)
    journal.append(journal.place(), record.parse(made).payload_hash, made, NOTE)
    return made


def contents(journal: Journal) -> list[tuple[int, bytes]]:
    return list(journal.records_from(1))


def test_a_record_is_there_again_after_a_reboot() -> None:
    device = MemoryFlash(8)
    journal = Journal(device)
    made = [append(journal) for _ in range(20)]
    again = Journal(device)
    assert [content for _, content in contents(again)] == made
    assert (again.next_counter, again.head) == (21, journal.head)
    assert [note for _, _, note in again.entries_from(1)] == [NOTE] * 20


@pytest.mark.parametrize("sectors", [8, 12])
@pytest.mark.parametrize("moved", [-3, -1, 1, 3])
def test_a_journal_whose_partition_moves_gives_what_is_left_of_it_in_order_and_goes_on(
    moved: int, sectors: int
) -> None:
    """A new partition table lets the journal begin `moved` sectors later, with another number of sectors."""
    device = MemoryFlash(8)
    journal = Journal(device)
    made = [append(journal) for _ in range(30)]
    around = b"\xff" * (16 * SECTOR)
    begins = 16 * SECTOR + moved * SECTOR
    content = (around + device.content + around)[begins : begins + sectors * SECTOR]
    flash = MemoryFlash(sectors, content)
    left = contents(Journal(flash))
    numbers = [number for number, _ in left]
    assert 0 < len(left) <= len(made)
    assert numbers == list(range(numbers[0], numbers[0] + len(left)))
    assert [each for _, each in left] == [made[number - 1] for number in numbers]
    after = append(Journal(flash))
    assert contents(Journal(flash)) == [*left, (numbers[-1] + 1, after)]


def test_a_record_that_does_not_continue_the_chain_is_refused() -> None:
    journal = Journal(MemoryFlash(8))
    append(journal)
    for place in ((1, bytes(32)), (2, b"\x01" * 32), (3, journal.head)):
        stray = make_record(*place)
        with pytest.raises(StorageError, match=r"journal\.chain"):
            journal.append(place, record.parse(stray).payload_hash, stray, NOTE)
    assert len(contents(journal)) == 1


def test_a_receipt_frees_the_sectors_it_covers_and_survives_a_reboot() -> None:
    device = MemoryFlash(10)
    journal = Journal(device)
    heads = []
    for _ in range(40):
        append(journal)
        heads.append(journal.head)
    free = journal.free_sectors()
    journal.receipt(30, heads[29])
    assert journal.free_sectors() > free
    again = Journal(device)
    assert again.through == 30
    assert [number for number, _ in contents(again)] == list(range(31, 41))


def test_the_chain_goes_on_after_everything_was_receipted_and_erased() -> None:
    device = MemoryFlash(5)
    journal = Journal(device)
    for _ in range(200):
        append(journal)
        journal.receipt(journal.next_counter - 1, journal.head)
        journal = Journal(device)
    assert (journal.next_counter, journal.through, contents(journal)) == (201, 200, [])


def test_a_receipt_for_records_never_made_is_refused() -> None:
    journal = Journal(MemoryFlash(8))
    append(journal)
    with pytest.raises(VerificationError, match=r"receipt\.ahead"):
        journal.receipt(2, journal.head)
    assert len(contents(journal)) == 1


def test_a_receipt_for_another_record_of_that_number_is_refused() -> None:
    journal = Journal(MemoryFlash(8))
    append(journal)
    append(journal)
    with pytest.raises(VerificationError, match=r"receipt\.head"):
        journal.receipt(1, journal.head)
    assert len(contents(journal)) == 2


def test_an_old_receipt_changes_nothing() -> None:
    journal = Journal(MemoryFlash(8))
    append(journal)
    first = journal.head
    append(journal)
    journal.receipt(2, journal.head)
    journal.receipt(1, first)
    assert journal.through == 2


def test_a_full_ring_refuses_and_a_receipt_makes_room_again() -> None:
    journal = Journal(MemoryFlash(6))
    with pytest.raises(StorageError, match=r"journal\.full"):
        while True:
            append(journal)
    kept = len(contents(journal))
    assert journal.free_sectors() == 0
    with pytest.raises(StorageError, match=r"journal\.full"):
        append(journal)
    journal.receipt(journal.next_counter - 1, journal.head)
    append(journal)
    assert journal.next_counter == kept + 2


def test_flash_that_does_not_hold_what_is_written_is_noticed() -> None:
    device = MemoryFlash(6)
    journal = Journal(device)
    append(journal)
    good = Journal(device).next_counter
    device.content[SECTOR:] = bytes(len(device.content) - SECTOR)  # every later sector is stuck at zero
    device.content[600:SECTOR] = bytes(SECTOR - 600)
    with pytest.raises(StorageError, match=r"journal\.flash"):
        append(journal)
    assert journal.next_counter == good


def test_a_record_too_long_for_a_sector_is_refused() -> None:
    with pytest.raises(StorageError, match=r"journal\.size"):
        append(Journal(MemoryFlash(6)), size=3900)


def scenario(device: MemoryFlash, acknowledged: list[bytes], receipts: list[int]) -> None:
    """Append records of growing size, with a receipt after every fourth record.

    `acknowledged` collects the records that the journal acknowledged. `receipts` collects the counter of each receipt.
    """
    journal = Journal(device)
    for step in range(60):
        acknowledged.append(append(journal, size=200 + 37 * (step % 11)))
        if step % 4 == 3:
            journal.receipt(journal.next_counter - 2, record.parse(acknowledged[-2]).payload_hash)
            receipts.append(journal.next_counter - 2)


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_a_power_cut_at_any_flash_operation_loses_nothing_acknowledged_and_repeats_no_counter(torn: bool) -> None:
    whole = MemoryFlash(6)
    scenario(whole, [], [])
    assert whole.operations > 80
    for cut_at in range(1, whole.operations + 1):
        device = MemoryFlash(6)
        device.cut_at, device.torn = cut_at, torn
        acknowledged: list[bytes] = []
        receipts: list[int] = []
        with pytest.raises(PowerCut):
            scenario(device, acknowledged, receipts)
        journal = Journal(MemoryFlash(6, bytes(device.content)))
        held = dict(contents(journal))
        covered = max(receipts, default=0)
        assert journal.through >= covered
        for number, content in enumerate(acknowledged, 1):
            if number > journal.through:
                assert held[number] == content, (cut_at, number)
        # The last record may be in flash although it was not acknowledged. In that case, the chain continues after this
        # record.
        assert journal.next_counter - 1 in (len(acknowledged), len(acknowledged) + 1)
        assert journal.through <= len(acknowledged)
        append(journal)
        assert sorted(dict(contents(journal)))[-1] == journal.next_counter - 1


@given(st.binary(min_size=64, max_size=3 * SECTOR))
def test_whatever_the_flash_holds_the_journal_opens_and_takes_records(noise: bytes) -> None:
    device = MemoryFlash(4, (noise + b"\xff" * (4 * SECTOR))[: 4 * SECTOR])
    journal = Journal(device)
    append(journal)
    assert Journal(device).next_counter == journal.next_counter


def test_write_amplification_is_near_its_floor() -> None:
    device = MemoryFlash(64)
    journal = Journal(device)
    written = 0
    for number in range(240):
        written += len(append(journal, size=460))
        if number % 20 == 19:
            journal.receipt(journal.next_counter - 1, journal.head)
    assert device.programmed <= 1.1 * written
    assert device.erases <= 0.17 * 240
