"""Scenarios of taps with noise on every line and radio. A seed chooses the faults. The results of taps are counted."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import Literal

from sim import issuer
from sim.nfc.card import Traits
from sim.nfc.faults import Faults
from sim.phone.applet import Habits
from sim.phone.ble import BleHabits
from sim.phone.ble_process import BleProcess
from sim.radio.air import PartFault
from sim.site import Site
from sim.visitors import Visitor

PATIENCE = 12.0
"""Seconds for which a guest holds a phone to a door that does not react."""


BROKEN_PARTS = 0.1
"""Chance, at each try, that a part of a message over BLE has a fault. The link layer repeats packets that are not
acknowledged. So a part is lost or doubled only by a rare defect of a Bluetooth stack. A broken connection is more
common."""

DEAF = 0.02
"""Chance that the reader chip stops answering during a try. Real chips stop only after hours."""


@dataclass
class Tally:
    """The results of guests' taps. A tap counts once, even if it took two tries.

    `taps` is the number of taps by guests who may come in. `at_once` counts the taps that opened the door at the first
    try, and `again` counts the taps that opened the door at the second try. `unfinished` counts the taps that never
    opened the door. `wrong` is the number of openings for somebody who may not come in. `wedged` is the number of times
    that the door served neither of two successive clean taps over the same radio. `opened` is the number of tries that
    opened the door, including clean ones. `slowest` is the longest time in seconds that a guest waited in a try that
    opened the door.
    """

    taps: int = 0
    at_once: int = 0
    again: int = 0
    unfinished: int = 0
    wrong: int = 0
    wedged: int = 0
    opened: int = 0
    slowest: float = 0.0

    def add(self, other: "Tally") -> None:
        """Add the results of `other`."""
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            setattr(self, item.name, max(mine, theirs) if item.name == "slowest" else mine + theirs)


def habits(chance: random.Random) -> Habits:
    """Choose a wallet's habits at random. The wallet may use short or extended APDUs, take large or small reads, ignore
    Le, and fill the NDEF file late.
    """
    short = chance.random() < 0.3
    return Habits(
        max_read=chance.choice((15, 59, 255, 0x7FFF)),
        max_command=255 if short else chance.choice((1000, 0xFFFF)),
        max_response=256 if short else chance.choice((1000, 0x10000)),
        chunk=chance.choice((None, 100, 250)),
        ignore_le=chance.random() < 0.2,
        empty_polls=chance.randrange(3),
    )


def traits(chance: random.Random) -> Traits:
    """Choose at random the frame size and the waiting times of a phone's blocks."""
    return Traits(fsci=chance.choice((2, 5, 8)), fwi=chance.choice((5, 7, 8)), sfgi=chance.choice((0, 4)))


def nfc_noise(chance: random.Random) -> Faults:
    """Choose faults at random: up to one block in six is lost or damaged, and sometimes the chip stops answering.

    Real air has fewer faults, and real lines have far fewer.
    """
    return Faults(
        chance.randrange(1 << 30),
        air_lost=chance.uniform(0, 0.03),
        air_damaged=chance.uniform(0, 0.03),
        line_lost=chance.uniform(0, 0.01),
        line_damaged=chance.uniform(0, 0.01),
        line_late=chance.uniform(0, 0.01),
        wtx_storm=chance.randrange(3),
        deaf_after=chance.randrange(60) if chance.random() < DEAF else None,
    )


def part_fault(chance: random.Random, phone: str) -> PartFault:
    """Choose a random fault of one part of a message between the lock and the phone with the address `phone`."""
    what: Literal["drop", "duplicate", "delay", "cut"] = chance.choice(("drop", "duplicate", "delay", "cut"))
    way: Literal["notification", "write"] = chance.choice(("notification", "write"))
    # Only values of five bytes or more are affected. These are parts of messages, while a State is shorter.
    return PartFault(what, chance.randint(1, 8), way, longer_than=4, between=phone)


class Crew:
    """The people at one door: guests of one stay with different phones, and a stranger."""

    def __init__(
        self, site: Site, guests: list[Visitor], over_ble: Visitor, stranger: Visitor, bluetooth: BleProcess
    ) -> None:
        self.site = site
        self.door = site.doors[0]
        self.guests = guests
        self.over_ble = over_ble
        self.stranger = stranger
        self.bluetooth = bluetooth

    async def round(self, seed: int) -> Tally:
        """Let everybody tap once with the noise of `seed`. Then one guest for each radio taps without noise."""
        door, chance, tally = self.door, random.Random(seed), Tally()
        self.over_ble.phone.offer_ble_alone(chance.choice(("central", "peripheral")), self.bluetooth)
        everybody = [*self.guests, self.over_ble, self.stranger]
        chance.shuffle(everybody)
        for visitor in everybody:
            door.reader.expect(traits(chance))
            visitor.phone.behave(habits(chance))
            noisy = partial(self._try, visitor, tally, chance)
            if visitor is self.stranger:
                tally.wrong += await noisy()
            else:
                await _attempt(noisy, tally)
        for visitor in (self.guests[0], self.over_ble):
            clean = partial(self._try, visitor, tally)
            if not await clean():  # only the first clean tap after the noise may fail
                tally.wedged += not await clean()
        return tally

    async def _try(self, visitor: Visitor, tally: Tally, chance: random.Random | None = None) -> bool:
        """Tap once. `chance` chooses the noise. If `chance` is None, there is no noise. Returns whether the door
        opened."""
        self.door.reader.go_wrong(Faults() if chance is None else nfc_noise(chance))
        self.site.air.go_wrong()
        if chance is not None and chance.random() < BROKEN_PARTS:
            self.site.air.go_wrong(part_fault(chance, self.bluetooth.address))
        tap = await self.door.tap(visitor, patience=PATIENCE)
        if tap.opened:
            tally.opened += 1
            tally.slowest = max(tally.slowest, tap.to_open)
        return tap.opened


async def _attempt(noisy: Callable[[], Awaitable[bool]], tally: Tally) -> None:
    tally.taps += 1
    if await noisy():
        tally.at_once += 1
    elif await noisy():
        tally.again += 1
    else:
        tally.unfinished += 1


@asynccontextmanager
async def crew(site: Site) -> AsyncIterator[Crew]:
    """Make a crew of three guests of one stay and a stranger.

    The guest who uses BLE has a phone whose Bluetooth runs in a separate process.
    """
    static = site.visitor()
    negotiating = site.visitor(issuer.RESIDENT_ID, "mac")
    negotiating.phone.hand_over(negotiated=True)
    over_ble = site.visitor()
    async with BleProcess(site.hci, BleHabits(mtu=185)) as bluetooth:
        await site.doors[0].bookings.book(static, negotiating, over_ble)
        yield Crew(site, [static, negotiating], over_ble, site.visitor(), bluetooth)
