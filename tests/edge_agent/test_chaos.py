"""None lost, none twice, each in time, whatever dies. Time is virtual; outbox, lanes, downlink and registry are real.

`make soak` plays 200 locks with 100,000 records. MOORING_CHAOS_SEED chooses the seed; a failed run prints its story.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from sim.board.interpreter import ROOT
from tests.support.chaos import Chaos, unbroken
from tests.support.chaos_plan import Lock, Outcome, Plan

SOAK = "MOORING_SOAK" in os.environ
SEED = int(os.environ.get("MOORING_CHAOS_SEED", "1"))
DAY = 86400.0


def played(folder: Path, plan: Plan, seed: int = SEED) -> Outcome:
    """Play a plan to its end. Everything must be where it belongs."""
    with contextlib.closing(Chaos(folder, seed, plan, say=lambda text: print(text, flush=True))) as chaos:
        outcome = chaos.play()
        print(f"seed {seed}: {outcome.line()}", *outcome.story, sep="\n  ")
        assert unbroken(chaos) == []
    return outcome


def test_whatever_dies_no_record_is_lost_or_comes_twice_and_each_is_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = (
        Plan(locks=200, records=500, seconds=3600.0, faults_every=20.0)
        if SOAK
        else Plan(locks=4, records=15, seconds=900.0)
    )
    with capsys.disabled() if SOAK else contextlib.nullcontext():
        outcome = played(tmp_path, plan)
    assert min(outcome.killed[what] for what in ("broker", "province", "edge", "lock")) > 0
    assert outcome.lost["up"] + outcome.lost["down"] > 0
    assert outcome.slowest <= plan.bound_seconds


def test_the_bound_is_the_one_that_the_page_states() -> None:
    page = (ROOT / "docs/edge-agent.md").read_text(encoding="utf-8")
    assert f"\n> {Plan(visits_every=0).bound_seconds:.0f} s + the time between two visits\n" in page


class Careless(Chaos):
    """Locks that erase what the edge has, without waiting for receipts, and an edge whose disk is lost at each kill."""

    def _visit(self, lock: Lock) -> None:
        super()._visit(lock)
        lock.saved = lock.receipted = max(lock.receipted, self.outbox.known_through(lock.lock_id))

    def _open_edge(self, folder: Path) -> None:
        for file in folder.glob("outbox*"):
            file.unlink()
        super()._open_edge(folder)


def test_a_building_that_does_not_wait_for_receipts_is_found_out(tmp_path: Path) -> None:
    with contextlib.closing(
        Careless(tmp_path, 1, Plan(locks=2, records=10, seconds=300.0, faults_every=10.0))
    ) as chaos:
        chaos.play()
        assert "is not at the province" in unbroken(chaos)[0]


def test_the_same_seed_tells_the_same_story(tmp_path: Path) -> None:
    plan = Plan(locks=2, records=3, seconds=200.0, faults_every=25.0)
    stories = [played(tmp_path / name, plan, 7).story for name in ("first", "second")]
    assert stories[0] == stories[1] and len(stories[0]) > 3


def test_a_broker_that_acknowledges_and_forgets_costs_time_and_no_record(tmp_path: Path) -> None:
    outcome = played(tmp_path, Plan(locks=2, records=8, seconds=600.0, faults_every=0.0, forgets=0.5))
    assert outcome.lost["forgotten"] > 5


def test_receipts_that_come_days_late_cost_little_and_no_record(tmp_path: Path) -> None:
    plan = Plan(locks=1, records=6, faults_every=0.0, seconds=3600.0, visits_every=3600.0, timeout=600.0)
    plan = replace(plan, receipts_after=2 * DAY)
    outcome = played(tmp_path, plan)
    assert outcome.seconds >= 2 * DAY
    # Until the first receipt, a lock repeats one record, at most once in a timeout.
    assert outcome.sent < plan.locks * (outcome.seconds / plan.timeout + 40), outcome.line()


def test_a_backlog_of_ten_days_goes_out_once_and_in_time(tmp_path: Path) -> None:
    plan = Plan(locks=2, records=30, faults_every=0.0, seconds=10 * DAY, visits_every=DAY / 2, outage=(1.0, 10 * DAY))
    outcome = played(tmp_path, plan)
    assert outcome.sent <= plan.locks * plan.records + 3 * plan.locks, outcome.line()
    assert outcome.slowest <= plan.bound_seconds


def test_broken_messages_on_every_topic_move_nothing(tmp_path: Path) -> None:
    plan = Plan(locks=2, records=8, seconds=300.0, faults_every=0.0, junk=1.0)
    with contextlib.closing(Chaos(tmp_path, SEED, plan)) as chaos:
        outcome = chaos.play()
        assert unbroken(chaos) == [] and outcome.slowest <= plan.bound_seconds
        genuine = {lock.lock_id: set(chaos.province.statements_for(lock.lock_id)) for lock in chaos.locks}
        assert all(lock.papers and lock.papers <= genuine[lock.lock_id] for lock in chaos.locks)
        assert chaos.credentials.locks == {lock.lock_id for lock in chaos.locks}
