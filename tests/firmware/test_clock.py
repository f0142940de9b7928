"""The clock is an interval that holds the true time, whatever an edge agent does, and a floor that never goes back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import clock as clock_module
from firmware import ticks
from firmware.clock import Clock
from firmware.store import Store
from protocol import crypto_cpython as crypto
from protocol.errors import VerificationError
from protocol.signed_time import SignedTime

LOCK_ID = bytes(range(16))
NOON = 1_800_000_000


class Crystal:
    """The tick source of a lock: runs `ppm` fast or slow against the true time, which only the test knows."""

    def __init__(self, ppm: int = 0) -> None:
        self.true_ms = NOON * 1000
        self.ppm = ppm
        self._ticks = 0.0

    def run(self, ms: int) -> None:
        self.true_ms += ms
        self._ticks += ms * (1 + self.ppm / 1_000_000)

    def now(self) -> int:
        return int(self._ticks)


@pytest.fixture
def crystal(monkeypatch: pytest.MonkeyPatch) -> Crystal:
    made = Crystal()
    monkeypatch.setattr(ticks, "now", made.now)
    return made


def open_clock(folder: Path) -> Clock:
    return Clock(crypto, Store(str(folder)), LOCK_ID)


def answer(clock: Clock, seconds: int) -> SignedTime:
    nonce = clock.nonce()
    assert nonce is not None
    return SignedTime(nonce, seconds, LOCK_ID)


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


def test_an_answer_serves_once(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    clock.accept(signed)
    crystal.run(clock_module.REFRESH_MS + 1)
    clock.nonce()
    with pytest.raises(VerificationError, match=r"time\.nonce"):
        clock.accept(signed)


def test_an_answer_kept_over_a_reboot_is_refused(tmp_path: Path, crystal: Crystal) -> None:
    signed = answer(open_clock(tmp_path), NOON)
    rebooted = open_clock(tmp_path)
    rebooted.nonce()
    with pytest.raises(VerificationError, match=r"time\.nonce"):
        rebooted.accept(signed)


def test_an_answer_for_another_lock_is_refused(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    signed.lock_id = bytes(16)
    with pytest.raises(VerificationError, match=r"time\.nonce"):
        clock.accept(signed)


def test_the_floor_survives_a_reboot_and_refuses_to_go_back(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    clock.accept(answer(clock, NOON))
    rebooted = open_clock(tmp_path)
    assert rebooted.interval() == (NOON, None)
    with pytest.raises(VerificationError, match=r"time\.rollback"):
        rebooted.accept(answer(rebooted, NOON - 3600))
    assert rebooted.interval()[0] == NOON


def test_an_answer_that_an_edge_agent_sat_on_only_widens_the_interval(tmp_path: Path, crystal: Crystal) -> None:
    clock = open_clock(tmp_path)
    signed = answer(clock, NOON)
    crystal.run(3_600_000)
    clock.accept(signed)
    earliest, latest = clock.interval()
    assert earliest == NOON
    assert latest is not None and latest >= NOON + 3600


@given(
    st.integers(-100, 100),
    st.lists(
        st.one_of(
            st.tuples(st.just("run"), st.integers(0, 40_000_000)),
            st.tuples(st.just("sync"), st.integers(0, 600_000)),
            st.tuples(st.just("reboot"), st.integers(0, 10_000_000)),
        ),
        max_size=30,
    ),
)
def test_the_true_time_is_always_inside(
    tmp_path_factory: pytest.TempPathFactory, ppm: int, story: list[tuple[str, int]]
) -> None:
    crystal = Crystal(ppm)
    folder = tmp_path_factory.mktemp("clock")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ticks, "now", crystal.now)
        clock = open_clock(folder)
        floor = 0
        for what, ms in story:
            if what == "reboot":
                crystal.run(ms)
                clock = open_clock(folder)
                floor = 0
            elif what == "sync" and clock.nonce() is not None:
                signed = answer(clock, crystal.true_ms // 1000)
                crystal.run(ms)
                clock.accept(signed)
            else:
                crystal.run(ms)
                clock.tick()
            earliest, latest = clock.interval()
            assert floor <= earliest <= crystal.true_ms / 1000
            assert latest is None or crystal.true_ms / 1000 <= latest
            floor = earliest
