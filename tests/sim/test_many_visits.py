"""A thousand visits of all kinds at one door, without a restart of the lock (`make soak`).

The suite itself makes only a few visits, on a heap that was cut up (`tests/firmware/mdoc_reader/test_tap_memory.py`).
"""

import asyncio
import os
import random
from pathlib import Path

import pytest

from sim import issuer
from sim.door import Door
from sim.phone.ble import BleHabits
from sim.phone.ble_process import BleProcess
from sim.platform import Booking
from sim.site import Site, build
from sim.visitors import Visitor

SOAK = bool(os.environ.get("MOORING_SOAK"))
VISITS = int(os.environ.get("MOORING_VISITS", "1000"))
STAYS = int(os.environ.get("MOORING_STAYS", "8"))
"""Number of stays that the lock knows at a time, as at a room that is booked well ahead. A lock takes 16 at most."""
REBOOK = 40
"""Number of visits after which the guests of one stay get a new stay, so that they check in again."""
OUTAGE = 50
"""Number of visits after which the network fails, or comes back."""
PATIENCE = 20.0


def guests_of_a_stay(site: Site, number: int, bluetooth: BleProcess) -> list[Visitor]:
    """Return two guests. In document, proof, handover and radio, the phones of one stay differ from those of other
    stays.
    """
    one = site.visitor(issuer.RESIDENT_ID, "mac") if number % 2 else site.visitor()
    one.phone.negotiates = number % 3 == 0
    other = site.visitor()
    if number % 4 < 2:
        other.phone.nfc = False
        other.phone.radio = bluetooth
        other.phone.ble_modes = frozenset({("central", "peripheral")[number % 4]})
    return [one, other]


class Crowd:
    """The guests of all stays, a stranger and a cheat, at the only door of `site`."""

    def __init__(self, site: Site, bluetooth: BleProcess) -> None:
        self.site = site
        self.door: Door = site.doors[0]
        self.chance = random.Random(1)
        self.stays: list[tuple[Booking, list[Visitor]]] = []
        self.parties = [guests_of_a_stay(site, number, bluetooth) for number in range(STAYS)]
        self.stranger, self.cheat = site.visitor(), site.visitor()
        self.cheat.phone.tamper = "element-value"
        self.wrong: list[str] = []

    async def book(self, party: list[Visitor]) -> None:
        self.stays.append((await self.door.bookings.book(*party), party))

    async def rebook(self) -> None:
        booking, party = self.stays.pop(0)
        await self.door.bookings.send(self.site.platform.cancel(booking))
        await self.book(party)

    async def visit(self, number: int) -> None:
        guests = [guest for _, party in self.stays for guest in party]
        who = self.chance.choice([*guests, self.stranger, self.cheat])
        tap = await self.door.tap(who, patience=PATIENCE)
        refusal = {id(self.stranger): "grant.none", id(self.cheat): "mdoc.digest"}.get(id(who))
        if (tap.opened, tap.refusal) != (refusal is None, refusal):
            self.wrong.append(f"visit {number}: {tap}")


async def thousand(folder: Path) -> list[str]:
    """Return what went wrong."""
    async with build(folder, 1, "micropython") as site, BleProcess(site.hci, BleHabits(mtu=185)) as bluetooth:
        crowd = Crowd(site, bluetooth)
        for party in crowd.parties:
            await crowd.book(party)
        up = True
        for number in range(1, VISITS + 1):
            await crowd.visit(number)
            if number % OUTAGE == 0:
                await asyncio.to_thread(site.broker.stop if up else site.broker.start)
                up = not up
            if up and number % REBOOK == 0:
                await crowd.rebook()
    log = (folder / "door-1" / "lock.log").read_text().splitlines()
    return crowd.wrong + [line for line in log if "MemoryError" in line or ".memory" in line]


@pytest.mark.skipif(not SOAK, reason="make soak")
def test_a_thousand_visits_of_all_kinds_never_lack_memory(tmp_path: Path) -> None:
    assert asyncio.run(thousand(tmp_path)) == []
