"""Somebody guesses PINs. The waiting times double. Power cuts, patience or worn flash do not give more tries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.door.pin_attempts import FIRST_WAIT_MS, FORGET_MS, FREE, LONGEST_WAIT_MS, PinAttempts
from firmware.hardware import ticks
from firmware.memory.store import Store
from protocol import stay_pin
from protocol.errors import RefusedError, StorageError
from tests.on_micropython.memory_store import MemoryStore
from tests.support import chip_ticks

DAY_MS = 86_400_000


class CountingMemory(MemoryStore):
    """A store in RAM that counts its writes. If `broken` is set, every write fails."""

    writes = 0
    broken = False

    def write(self, name: str, content: bytes) -> None:
        if self.broken:
            raise StorageError("store.write", name)
        self.writes += 1
        super().write(name, content)


class Door:
    """A door for PIN tries. A test can reboot the door and let time pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 0
        self._booted = 0
        chip_ticks.stand_in(monkeypatch, lambda: self.ms - self._booted)
        self.store = CountingMemory()
        self.boot()

    def boot(self) -> None:
        self._booted = self.ms
        self.attempts = PinAttempts(self.store)  # type: ignore[arg-type]

    def guess(self, right: bool = False) -> bool:
        """Try a PIN. Return whether the lock judged this guess."""
        try:
            self.attempts.charge()
        except RefusedError as error:
            assert error.code == "pin.wait"
            return False
        if right:
            self.attempts.right()
        return True

    def wait(self, ms: int) -> None:
        self.ms += ms


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    return Door(monkeypatch)


def test_a_few_tries_are_free_then_the_waits_double_up_to_an_hour(door: Door) -> None:
    assert [door.guess() for _ in range(FREE + 1)] == [True] * FREE + [False]
    waits = []
    for _ in range(10):
        waits.append(door.attempts.wait_ms())
        door.wait(waits[-1] - 1)
        assert not door.guess()
        door.wait(1)
        assert door.guess()
    assert waits == [min(FIRST_WAIT_MS * 2**n, LONGEST_WAIT_MS) for n in range(10)]
    assert waits[-1] == LONGEST_WAIT_MS


def test_a_try_in_a_wait_is_not_charged(door: Door) -> None:
    for _ in range(FREE):
        door.guess()
    writes, wait = door.store.writes, door.attempts.wait_ms()
    for _ in range(50):
        assert not door.guess()
    assert (door.store.writes, door.attempts.wait_ms()) == (writes, wait)


def test_somebodys_right_pin_buys_nobody_another_guess(door: Door) -> None:
    for _ in range(FREE + 2):
        door.wait(door.attempts.wait_ms())
        door.guess()
    door.wait(door.attempts.wait_ms())
    for _ in range(50):
        assert door.guess(right=True)
    assert door.guess() and door.attempts.wait_ms() == FIRST_WAIT_MS * 2**3


def test_a_right_pin_does_not_begin_a_wait(door: Door) -> None:
    for _ in range(FREE + 2):
        door.wait(door.attempts.wait_ms())
        door.guess()
    door.wait(door.attempts.wait_ms())
    assert door.guess(right=True) and door.attempts.wait_ms() == 0


def test_wrong_tries_are_forgotten_one_an_hour(door: Door) -> None:
    for _ in range(FREE):
        door.guess()
    door.wait(2 * FORGET_MS)
    assert [door.guess() for _ in range(3)] == [True, True, False]
    door.wait(24 * FORGET_MS)
    assert [door.guess() for _ in range(FREE + 1)] == [True] * FREE + [False]


def test_a_power_cut_resets_nothing_and_begins_the_wait_anew(door: Door) -> None:
    for _ in range(FREE + 3):
        door.wait(door.attempts.wait_ms())
        door.guess()
    wait = door.attempts.wait_ms()
    door.wait(wait - 1)
    door.boot()
    assert door.attempts.wait_ms() == wait


def test_a_power_cut_between_charging_and_judging_leaves_the_try_charged(door: Door) -> None:
    for _ in range(FREE):
        door.attempts.charge()
        door.boot()
    assert door.attempts.wait_ms() == FIRST_WAIT_MS


def test_a_try_that_cannot_be_written_is_none(door: Door) -> None:
    door.store.broken = True
    for _ in range(20):
        with pytest.raises(StorageError):
            door.attempts.charge()
    door.store.broken = False
    assert [door.guess() for _ in range(FREE + 1)] == [True] * FREE + [False]


def test_right_pins_cost_no_writes_and_wrong_ones_one_each(door: Door) -> None:
    for _ in range(100):
        door.guess(right=True)
    assert door.store.writes == 1
    before = door.store.writes
    for _ in range(20):
        door.wait(door.attempts.wait_ms())
        door.guess()
    assert door.store.writes - before <= 20
    door.wait(door.attempts.wait_ms())
    door.guess(right=True)
    assert door.store.writes - before <= 22


def test_the_number_of_guesses_in_a_stay_is_what_the_threat_model_says(door: Door) -> None:
    judged = 0
    while door.ms < 7 * DAY_MS:
        door.wait(door.attempts.wait_ms())
        judged += door.guess()
    assert judged == 177
    assert judged * 4 / 10**stay_pin.DIGITS < 1 / 140_000  # four guests have checked in, each with a PIN


def test_ticks_that_wrapped_in_the_meantime_do_not_lock_the_pin_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = chip_ticks.ChipTicks(monkeypatch)
    attempts = PinAttempts(CountingMemory())  # type: ignore[arg-type]
    for _ in range(FREE):
        attempts.charge()
    assert attempts.wait_ms() > 0
    clock.ms += 8 * DAY_MS
    assert ticks.since(ticks.now(), 0) < 0 and attempts.wait_ms() == 0


STEPS = st.one_of(st.just("guess"), st.just("right"), st.just("cut"), st.integers(0, 3 * LONGEST_WAIT_MS))


@given(st.lists(STEPS, max_size=60))
def test_no_story_buys_more_guesses_than_ten_and_one_an_hour(story: list[str | int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        door = Door(patch)
        guesses = 0
        for step in story:
            if step == "cut":
                door.boot()
            elif isinstance(step, int):
                door.wait(step)
            else:
                guesses += door.guess(right=step == "right") and step == "guess"
                assert guesses <= 10 + door.ms / FORGET_MS


@given(st.lists(st.one_of(st.just("cut"), st.integers(0, LONGEST_WAIT_MS)), max_size=20))
def test_no_power_cut_shortens_a_wait(story: list[str | int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        door = Door(patch)
        for _ in range(FREE + 7):
            door.wait(door.attempts.wait_ms())
            assert door.guess()
        ran = 0
        for step in story:
            if step == "cut":
                door.boot()
                ran = 0
            elif isinstance(step, int):
                door.wait(step)
                ran += step
            assert (door.attempts.wait_ms() == 0) == (ran >= LONGEST_WAIT_MS)


def test_a_count_that_is_none_is_noticed(tmp_path: Path) -> None:
    Store(str(tmp_path)).write("pin", b"\x20")
    with pytest.raises(StorageError, match=r"pin\.corrupt"):
        PinAttempts(Store(str(tmp_path)))
