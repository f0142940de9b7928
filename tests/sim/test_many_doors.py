"""Many locks in one process. Each has its own modules, flash and console, and serves its own door."""

import asyncio
import threading
from pathlib import Path

from sim import patient_loop
from sim.board.turns import THREAD_NAME
from sim.site import Plan, build

DOORS, LISTINGS = 12, 6


def plan() -> Plan:
    """Return a plan with two doors at each listing. Each of two edge agents serves one door of every listing."""
    halves = tuple(range(1, LISTINGS + 1)), tuple(range(LISTINGS + 1, DOORS + 1))
    return Plan(doors=DOORS, listings=LISTINGS, edges=halves, threads=True)


def test_a_dozen_locks_in_one_process_each_check_in_a_guest_and_share_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with build(tmp_path, runtime="cpython", plan=plan()) as site:
            guests = [site.visitor() for _ in site.doors]
            for door, guest in zip(site.doors, guests, strict=True):
                await door.bookings.book(guest)
            taps = await asyncio.gather(
                *(door.tap(guest) for door, guest in zip(site.doors, guests, strict=True)),
            )
            assert [tap.refusal for tap in taps] == [None] * DOORS
            assert (await site.doors[0].tap(guests[1])).refusal == "grant.none", "another door's guest"
            for door in site.doors:
                await door.settle(1)
                await door.drain()
            assert [door.findings.openings() for door in site.doors] == [1] * DOORS
            assert all(door.findings.unbroken() for door in site.doors)
            assert len({door.lock_id for door in site.doors}) == DOORS
            assert len({item.listing for item in site.province.registrations()}) == LISTINGS
            assert site.duplicates() == 0 and site.exposed() == []

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
