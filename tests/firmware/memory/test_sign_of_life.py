"""Each lock makes one sign of life in each period, at a moment that nobody on the way can foretell."""

import hashlib
import hmac
from pathlib import Path

import pytest

from firmware.memory import recorder
from protocol import record
from protocol.errors import StorageError
from protocol.registration import LIFE_SECONDS
from tests.support.recording_lock import NOW, RecordingLock

STEP = 1200
PERIODS = range(NOW // LIFE_SECONDS + 1, NOW // LIFE_SECONDS + 5)


def moment(lock: RecordingLock, period: int) -> int:
    """Return the moment of a lock's sign of life, computed as record.cddl says."""
    drawn = hmac.digest(lock.lock.identity.private, b"mooring/life" + period.to_bytes(8, "big"), hashlib.sha256)
    return period * LIFE_SECONDS + int.from_bytes(drawn[:4], "big") % LIFE_SECONDS


def live(lock: RecordingLock, until: int) -> None:
    """Let time pass until the lock's clock shows `until`, and let the lock work meanwhile."""
    while (now := lock.lock.clock.interval()[0]) < until:
        lock.elapse(min(STEP, until - now))
        lock.lock.tick()
        lock.rest()
        lock.elapse(recorder.QUIET_MS / 1000)
        lock.rest()


def comes_in_time(lock: RecordingLock, time: int, period: int) -> bool:
    """Was the sign of life with this earliest time made at its moment, or at the next step of `live`?"""
    return moment(lock, period) <= time < moment(lock, period) + STEP + 60


def signs(lock: RecordingLock) -> list[int]:
    """Return the earliest times of all signs of life."""
    return [body[record.EARLIEST] for body in lock.bodies() if body[record.KIND] == record.LIFE]


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingLock:
    lock = RecordingLock(tmp_path, monkeypatch)
    lock.tell_time(NOW)
    lock.lock.tick()
    return lock


def test_each_period_has_one_sign_of_life_at_a_moment_that_needs_the_locks_key(lock: RecordingLock) -> None:
    live(lock, (PERIODS[-1] + 1) * LIFE_SECONDS + STEP)
    made = [time for time in signs(lock) if moment(lock, PERIODS[0]) <= time < moment(lock, PERIODS[-1]) + STEP + 60]
    assert all(comes_in_time(lock, *each) for each in zip(made, PERIODS, strict=True))
    offsets = {moment(lock, period) % LIFE_SECONDS for period in PERIODS}
    assert len(offsets) == len(PERIODS), "no two periods have the same moment"


def test_traffic_at_the_door_changes_neither_number_nor_moment(lock: RecordingLock) -> None:
    for _ in range(12):
        live(lock, lock.lock.clock.interval()[0] + 3600)
        lock.enter()
        lock.lock.recorder.refused("stranger")
    made = [time for time in signs(lock) if time >= moment(lock, PERIODS[0])]
    assert len(lock.bodies()) > 20 and comes_in_time(lock, made[0], PERIODS[0])
    for time, period in zip(made, PERIODS, strict=False):
        assert comes_in_time(lock, time, period)


def test_a_sign_of_life_looks_like_any_other_record_on_the_air_and_in_flash(lock: RecordingLock) -> None:
    lock.check_in()
    lock.enter()
    lock.lock.recorder.event(record.DOOR, "forced")
    live(lock, (PERIODS[0] + 1) * LIFE_SECONDS)
    by_kind: dict[int, set[int]] = {}
    for body, (_, data) in zip(lock.bodies(), lock.lock.records_from(1), strict=True):
        parsed = record.parse(data)
        # The counter alone has another length from 24 records on.
        by_kind.setdefault(body[record.KIND], set()).add(len(data))
        assert parsed.lock_id == lock.lock.identity.lock_id
    assert {record.LIFE, record.CHECK_IN, record.ENTRY, record.DOOR} <= set(by_kind)
    assert len(set.union(*by_kind.values())) == 1


def test_a_restart_neither_repeats_a_sign_of_life_nor_leaves_one_out(lock: RecordingLock) -> None:
    for period in PERIODS[:2]:
        for offset in (-20, 20, 400):  # seconds around the moment
            live(lock, moment(lock, period) + offset)
            now = lock.lock.clock.interval()[0]
            lock.reboot()
            lock.tell_time(now + 1)
    made = [time for time in signs(lock) if time >= moment(lock, PERIODS[0])]
    assert all(comes_in_time(lock, *each) for each in zip(made, PERIODS[:2], strict=True))


def test_cutting_the_power_again_and_again_at_the_moment_makes_one_sign_of_life(lock: RecordingLock) -> None:
    due = moment(lock, PERIODS[0])
    live(lock, due - 3)
    before = len(signs(lock))
    for _ in range(6):
        lock.reboot()  # nobody tells the time
        for _ in range(8):
            lock.elapse(1)
            lock.lock.tick()
            lock.rest()
    lock.elapse(recorder.QUIET_MS / 1000)
    lock.rest()
    assert sum(body[record.COUNT] for body in lock.bodies() if body[record.KIND] == record.LIFE) - before <= 1


def test_after_a_week_without_power_one_sign_of_life_comes_as_soon_as_the_time_is_known(lock: RecordingLock) -> None:
    live(lock, NOW + 60)
    lock.reboot()
    later = NOW + 7 * 86400
    lock.tell_time(later)
    live(lock, later + 90)
    recent = [time for time in signs(lock) if time >= later]
    assert len(recent) == 1 and recent[0] < later + 90


def test_before_the_lock_ever_knew_the_time_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = RecordingLock(tmp_path, monkeypatch)
    for _ in range(100):
        lock.elapse(STEP)
        lock.lock.tick()
        lock.rest()
    assert signs(lock) == []


def test_without_receipts_signs_of_life_are_counted_and_leave_the_room_to_guests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RecordingLock(tmp_path, monkeypatch, sectors=12)
    lock.tell_time(NOW)
    lock.lock.tick()
    while 2 * lock.lock.journal.free_sectors() >= lock.lock.journal.sectors:
        lock.check_in()
    held, began = len(lock.bodies()), lock.lock.clock.interval()[0]
    live(lock, moment(lock, PERIODS[2]) + 60)
    assert len(lock.bodies()) == held, "from half of the ring on, they are only counted"
    lock.check_in()
    with pytest.raises(StorageError, match=r"journal\.full"):
        while True:  # guests have all of the room but the reserve of registered guests
            lock.check_in()
    assert lock.lock.journal.free_sectors() == recorder.RESERVED_SECTORS - 1
    lock.receipt(NOW)
    lock.lock.recorder.news()
    lock.rest()
    [late] = [body for body in lock.bodies() if body[record.KIND] == record.LIFE]
    assert late[record.COUNT] == sum(moment(lock, period) > began for period in range(PERIODS[0] - 1, PERIODS[3]))
    assert late[record.EARLIEST] < moment(lock, PERIODS[1]) < moment(lock, PERIODS[2]) <= late[record.LATEST]
