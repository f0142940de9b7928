"""Many locks in one process. Each lock has its own modules, flash and console, and serves its own door.

The suite plays a part of a building. `make doors` plays 200 locks, and prints how much time and memory the locks took.
"""

import asyncio
import os
import resource
import sys
import threading
from pathlib import Path

import pytest

from sim import issuer, patient_loop
from sim.board.turns import THREAD_NAME
from sim.site import Plan, Site, build

DOORS = int(os.environ.get("MOORING_DOORS", "12"))
LISTINGS = DOORS // 2
EDGES = 4
AN_HOUR = 3600
"""Seconds by which the site's time is ahead of this machine's. While the process works, the clocks of its locks stand
still. So these clocks fall behind. A document that is issued now must not lie in the future of these clocks.
"""


def plan() -> Plan:
    """Return a plan with two doors at each listing. Different edge agents serve these two."""
    shares = tuple(tuple(range(first, DOORS + 1, EDGES)) for first in range(1, EDGES + 1))
    return Plan(doors=DOORS, listings=LISTINGS, edges=shares, offset=AN_HOUR, threads=True)


def spent() -> str:
    """Return how much processor time and memory this process has used so far, and how many threads it has."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    largest = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    threads = threading.active_count()
    return f"{DOORS} locks: {used.ru_utime + used.ru_stime:.0f} s of processor, {largest:.0f} MB, {threads} threads"


async def everybody_checks_in(site: Site) -> None:
    kinds = issuer.MDL, issuer.RESIDENT_ID  # there are two kinds, because one kind has fewer than 200 names
    guests = [site.visitor(kinds[number % 2]) for number in range(DOORS)]
    for door, guest in zip(site.doors, guests, strict=True):
        await door.bookings.book(guest)
    taps = await asyncio.gather(*(door.tap(guest) for door, guest in zip(site.doors, guests, strict=True)))
    assert [tap.refusal for tap in taps] == [None] * DOORS
    others = [*guests[LISTINGS:], *guests[:LISTINGS]]  # each guest goes to the other door of the same listing
    strangers = await asyncio.gather(*(door.tap(other) for door, other in zip(site.doors, others, strict=True)))
    assert [tap.refusal for tap in strangers] == ["grant.none"] * DOORS
    for door in site.doors:
        await door.settle(1)
        await door.drain()
        await door.until("the province holds every record", door.findings.unbroken)


def test_each_of_many_locks_in_one_process_lets_in_its_own_guest_and_shares_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        async with build(tmp_path, runtime="cpython", plan=plan()) as site:
            await everybody_checks_in(site)
            assert [door.findings.openings() for door in site.doors] == [1] * DOORS
            assert [door.findings.recorded() for door in site.doors] == [1] * DOORS
            assert len({door.lock_id for door in site.doors}) == DOORS
            assert len({item.listing for item in site.province.registrations()}) == LISTINGS
            assert site.duplicates() == 0 and site.exposed() == []
            with capsys.disabled():
                if "MOORING_DOORS" in os.environ:
                    print(spent())

    patient_loop.run(story())
    assert THREAD_NAME not in [thread.name for thread in threading.enumerate()], "no lock outlives its site"


def test_a_lock_in_a_thread_that_loses_its_power_says_nothing_more_and_comes_back_as_it_was(tmp_path: Path) -> None:
    async def story() -> None:
        async with build(tmp_path, runtime="cpython", plan=Plan(doors=2, edges=((1, 2),), threads=True)) as site:
            dark, other = site.doors
            guest = site.visitor()
            stay = await dark.bookings.book(guest)
            await other.bookings.share(stay)
            assert (await dark.tap(guest)).opened
            await dark.settle(1)
            await dark.drain()
            await dark.lock.kill()
            said = len(dark.lock.console)
            assert dark.lock.ended and (await other.tap(guest)).opened, "the other lock does not notice"
            assert len(dark.lock.console) == said
            await dark.boot()
            assert (await dark.tap(guest)).opened
            await dark.settle(2)
            assert dark.findings.unbroken() and site.duplicates() == 0

    patient_loop.run(story())
