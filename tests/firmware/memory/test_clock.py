"""The clock's interval contains the true time, whatever an edge agent does. The clock's floor never goes back."""

import ast
from pathlib import Path

import pytest

from firmware.memory import clock as clock_module
from firmware.memory.clock import Clock
from firmware.memory.store import Store
from protocol import crypto_cpython as crypto
from protocol.errors import StorageError, VerificationError
from protocol.signed_time import SignedTime
from sim.board.interpreter import ROOT
from tests.support import chip_ticks

LOCK_ID = bytes(range(16))
NOON = 1_800_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class Crystal:
    """The ticks of a lock. They run `ppm` too fast. If `ppm` is negative, the crystal is too slow. Only tests know the
    true time.
    """

    def __init__(self, ppm: int = 0) -> None:
        self.true_ms = NOON * 1000
        self.ppm = ppm
        self._ticks = 0.0

    def run(self, ms: int) -> None:
        self.true_ms += ms
        self._ticks += ms * (1 + self.ppm / 1_000_000)

    def now(self) -> int:
        return int(self._ticks)


class CountingStore(Store):
    """A store that counts its writes."""

    writes = 0

    def write(self, name: str, content: bytes) -> None:
        self.writes += 1
        super().write(name, content)


@pytest.fixture
def crystal(monkeypatch: pytest.MonkeyPatch) -> Crystal:
    made = Crystal()
    chip_ticks.stand_in(monkeypatch, made.now)
    return made


def open_clock(folder: Path) -> Clock:
    return Clock(crypto, Store(str(folder)), LOCK_ID)


def answer(clock: Clock, seconds: int) -> SignedTime:
    nonce = clock.nonce()
    assert nonce is not None
    return SignedTime(nonce, seconds, LOCK_ID)


def refusal(clock: Clock, signed: SignedTime) -> str:
    with pytest.raises(VerificationError) as refused:
        clock.accept(signed)
    return refused.value.code


def test_after_a_cold_start_the_upper_end_is_unknown(tmp_path: Path, crystal: Crystal) -> None:
    assert open_clock(tmp_path).interval() == (0, None)


def test_an_answer_to_its_nonce_sets_both_ends(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    asked = answer(clock, NOON)
    crystal.run(4000)
    clock.accept(asked)
    earliest, latest = clock.interval()
    assert earliest == NOON
    assert latest is not None and NOON + 4 <= latest <= NOON + 7
    assert clock.nonce() is None


def test_the_interval_widens_by_the_drift_and_not_by_how_often_it_is_looked_at(
    tmp_path: Path, crystal: Crystal
) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    for _ in range(6 * 3600):
        crystal.run(1000)
        clock.tick()
    earliest, latest = clock.interval()
    assert latest is not None and latest - earliest <= 7


def test_an_answer_serves_once(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    clock.accept(signed)
    crystal.run(clock_module.REFRESH_MS + 1)
    clock.nonce()
    assert refusal(clock, signed) == "time.nonce"


def test_an_answer_kept_over_a_reboot_is_refused(tmp_path: Path, crystal: Crystal) -> None:
    signed = answer(open_clock(tmp_path), NOON)
    rebooted = open_clock(tmp_path)
    rebooted.nonce()
    assert refusal(rebooted, signed) == "time.nonce"


def test_an_answer_for_another_lock_is_refused(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    signed.lock_id = bytes(16)
    assert refusal(clock, signed) == "time.nonce"


def test_the_floor_survives_a_reboot_and_refuses_to_go_back(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    rebooted = open_clock(tmp_path)
    assert rebooted.interval() == (NOON, None)
    assert refusal(rebooted, answer(rebooted, NOON - 3600)) == "time.rollback"
    assert rebooted.interval()[0] == NOON


def test_an_answer_that_an_edge_agent_sat_on_only_widens_the_interval(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    crystal.run(HOUR // 6)
    clock.accept(signed)
    earliest, latest = clock.interval()
    assert earliest == NOON
    assert latest is not None and NOON + 600 <= latest <= NOON + 603


def test_one_that_it_sat_on_for_long_raises_the_floor_and_locks_nobody_out_by_the_upper_end(
    tmp_path: Path, crystal: Crystal
) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    crystal.run(5 * 24 * HOUR)
    clock.accept(signed)
    assert clock.interval() == (NOON, None)


def test_a_question_grows_old_and_another_is_asked(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    crystal.run(clock_module.WIDE_REFRESH_MS + 1000)
    assert clock.nonce() not in (None, signed.nonce)
    assert refusal(clock, signed) == "time.nonce"


def test_a_wide_interval_is_asked_about_again_soon(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    crystal.run(HOUR)
    clock.accept(signed)
    assert clock.nonce() is None
    crystal.run(clock_module.WIDE_REFRESH_MS)
    clock.accept(answer(clock, crystal.true_ms // 1000))
    earliest, latest = clock.interval()
    assert latest is not None and latest - earliest <= 2


def test_an_interval_known_better_is_not_widened_by_an_old_answer(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    crystal.run(clock_module.REFRESH_MS)
    signed = answer(clock, crystal.true_ms // 1000)
    crystal.run(3 * HOUR)
    clock.accept(signed)
    earliest, latest = clock.interval()
    assert latest is not None and earliest <= crystal.true_ms // 1000 <= latest <= crystal.true_ms // 1000 + 10


def test_a_slow_answer_narrows_what_a_slower_one_left(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    for delay in (HOUR, 2 * MINUTE):
        signed = answer(clock, crystal.true_ms // 1000)
        crystal.run(delay)
        clock.accept(signed)
        crystal.run(clock_module.WIDE_REFRESH_MS)
    earliest, latest = clock.interval()
    assert latest is not None and latest - earliest <= 125


# --- what contradicts the interval -----------------------------------------------------------------------------------


def test_a_time_far_ahead_moves_nothing_and_costs_the_upper_end(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    crystal.run(clock_module.REFRESH_MS)
    true = crystal.true_ms // 1000
    signed = answer(clock, true + 86400)
    assert refusal(clock, signed) == "time.ahead"
    earliest, latest = clock.interval()
    assert earliest <= true and latest is None
    assert refusal(clock, signed) == "time.nonce"  # A repeated answer does not count as a second answer.
    assert clock.nonce() is None  # The lock does not ask again at once.
    crystal.run(clock_module.DOUBT_MS)
    clock.accept(answer(clock, crystal.true_ms // 1000))
    assert clock.interval()[0] == crystal.true_ms // 1000


def test_a_leap_said_twice_is_taken(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    crystal.run(clock_module.REFRESH_MS)
    assert refusal(clock, answer(clock, NOON + 9_000_000)) == "time.ahead"
    crystal.run(clock_module.DOUBT_MS)
    clock.accept(answer(clock, NOON + 9_000_060))
    assert clock.interval()[0] == NOON + 9_000_060


@pytest.mark.parametrize(("dark", "believed"), [(6 * 86400, True), (8 * 86400, False)])
def test_after_a_long_time_in_the_dark_the_time_has_to_be_said_twice(
    tmp_path: Path, crystal: Crystal, dark: int, believed: bool
) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    rebooted = open_clock(tmp_path)
    if believed:
        rebooted.accept(answer(rebooted, NOON + dark))
    else:
        assert refusal(rebooted, answer(rebooted, NOON + dark)) == "time.ahead"
        assert rebooted.interval()[0] == NOON
        crystal.run(clock_module.DOUBT_MS)
        rebooted.accept(answer(rebooted, NOON + dark + 60))
    assert rebooted.interval()[0] >= NOON + dark


@pytest.mark.parametrize("ppm", [-3000, 3000])
def test_a_crystal_out_of_its_limits_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ppm: int) -> None:
    broken = Crystal(ppm)
    chip_ticks.stand_in(monkeypatch, broken.now)
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    broken.run(7 * HOUR)
    said = answer(clock, broken.true_ms // 1000)
    assert refusal(clock, said) == ("time.rollback" if ppm > 0 else "time.ahead")
    assert clock.interval()[1] is None


def test_ticks_that_wrapped_unseen_cost_the_upper_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = chip_ticks.ChipTicks(monkeypatch)
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    assert clock.interval()[1] is not None
    chip.ms += 8 * DAY
    assert clock.interval() == (NOON, None)


# --- the floor -------------------------------------------------------------------------------------------------------


def test_the_floor_rises_with_what_the_province_signed_without_being_asked(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.later_than(NOON)
    assert clock.interval() == (NOON, None)
    clock.later_than(NOON - 5)
    assert clock.interval() == (NOON, None)
    clock.accept(answer(clock, NOON + 100))
    clock.later_than(NOON + 300)  # later than the upper end of the interval
    earliest, latest = clock.interval()
    assert earliest == NOON + 100 and latest is not None and latest < NOON + 110
    rebooted = open_clock(tmp_path)
    rebooted.later_than(NOON + 300)
    assert rebooted.interval() == (NOON + 300, None)


def test_a_new_lock_takes_the_time_however_old_its_trust_list_is(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.later_than(NOON - 90 * 86400)
    run_for(clock, crystal, HOUR)
    clock = open_clock(tmp_path)
    clock.later_than(NOON - 90 * 86400)
    clock.accept(answer(clock, NOON + 3600))
    assert clock.interval()[0] == NOON + 3600


def test_what_nobody_was_asked_about_makes_no_leap_even_in_doubt(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    rebooted = open_clock(tmp_path)
    assert refusal(rebooted, answer(rebooted, NOON + 10 * 365 * 86400)) == "time.ahead"
    rebooted.later_than(NOON + 10 * 365 * 86400)
    assert rebooted.interval() == (NOON, None)


def test_what_ended_stays_ended_over_a_power_cut(tmp_path: Path, crystal: Crystal) -> None:
    store = CountingStore(str(tmp_path))
    clock = Clock(crypto, store, LOCK_ID)
    clock.accept(answer(clock, NOON))
    clock.settle(NOON + 30)
    assert store.writes == 1
    crystal.run(40_000)
    for _ in range(5):
        clock.settle(NOON + 30)
    assert store.writes == 2
    assert open_clock(tmp_path).interval()[0] > NOON + 30


def run_for(clock: Clock, crystal: Crystal, ms: int) -> None:
    """Let `ms` milliseconds pass, with one tick every second, as in the main loop."""
    for _ in range(ms // 1000):
        crystal.run(1000)
        clock.tick()


@pytest.mark.parametrize("seconds", [9, 10, 19, 29, 39, 75, 159, 600, 1279, 3540, 3660, 8000, 12000])
def test_a_power_cut_costs_at_most_half_of_what_ran_and_an_hour(tmp_path: Path, crystal: Crystal, seconds: int) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    run_for(clock, crystal, seconds * 1000)
    kept = open_clock(tmp_path).interval()[0] - NOON
    assert kept >= (0 if seconds < 10 else max(seconds / 2, seconds - 3600) - 2)


def test_cutting_the_power_again_and_again_does_not_hold_the_floor(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    for _ in range(60):
        clock = open_clock(tmp_path)
        run_for(clock, crystal, 21_000)
    assert clock.interval()[0] >= NOON + 60 * 9


def test_a_storm_of_reboots_writes_nothing(tmp_path: Path, crystal: Crystal) -> None:
    store = CountingStore(str(tmp_path))
    first = Clock(crypto, store, LOCK_ID)
    first.accept(answer(first, NOON))
    store.writes = 0
    for _ in range(100):
        run_for(Clock(crypto, store, LOCK_ID), crystal, 9_000)
    assert store.writes == 0


def test_a_day_of_running_takes_thirty_odd_small_writes(tmp_path: Path, crystal: Crystal) -> None:
    store = CountingStore(str(tmp_path))
    clock = Clock(crypto, store, LOCK_ID)
    clock.accept(answer(clock, NOON))
    run_for(clock, crystal, DAY)
    assert 24 <= store.writes <= 35


def test_a_lock_that_was_never_told_the_time_knows_nothing_however_long_it_runs(
    tmp_path: Path, crystal: Crystal
) -> None:
    store = CountingStore(str(tmp_path))
    clock = Clock(crypto, store, LOCK_ID)
    run_for(clock, crystal, HOUR)
    assert clock.interval() == (0, None) and store.writes == 0


def test_a_floor_that_is_no_time_is_noticed(tmp_path: Path, crystal: Crystal) -> None:
    Store(str(tmp_path)).write("clock", b"\x20")
    with pytest.raises(StorageError, match=r"clock\.corrupt"):
        open_clock(tmp_path)


def test_the_lock_is_told_once_when_it_is_time_to_ask(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    crystal.run(clock_module.REFRESH_MS - 1)
    assert not clock.tick()
    crystal.run(1)
    assert [clock.tick(), clock.tick()] == [True, False]


def test_the_firmware_reads_no_clock_that_can_be_set() -> None:
    """A chip's calendar clock jumps when somebody sets it, and starts in the year 2000 after a power cut."""
    calendar = {"RTC", "time", "time_ns", "gmtime", "localtime", "mktime", "ntptime"}
    rooms = [ROOT / "firmware", ROOT / "protocol"]
    uses = [
        f"{file.name}:{node.lineno}"
        for room in rooms
        for file in room.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in calendar
        if node.value.id in ("time", "utime", "machine")
    ]
    assert uses == []
