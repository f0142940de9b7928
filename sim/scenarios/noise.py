"""Taps through noise on every way: what a seed makes go wrong, and what came of each guest's attempts."""

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
"""Seconds that a guest holds a phone to a door that says nothing."""


BROKEN_PARTS = 0.1
"""Chance that something happens to a part of a message over BLE, at each try. The link layer repeats what it does not
hear acknowledged: a lost or doubled part is a defect of a stack and rare, a broken connection is not."""

DEAF = 0.02
"""Chance that the chip goes deaf in the middle of a try; real ones do after hours."""


@dataclass
class Tally:
    """What came of guests' taps. A tap counts once, however often it had to be tried.

    taps: of guests who may come in. at_once: opened at the first try. again: at the second, the one re-tap. unfinished:
    not even then. wrong: openings for somebody who may not come in. wedged: times after which the door served neither
    of two clean taps, over NFC or over BLE. opened: tries that opened, clean ones included. slowest: the longest that
    anybody who got in stood at the door in one try, in seconds.
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
        """Count what `other` counted as well."""
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            setattr(self, item.name, max(mine, theirs) if item.name == "slowest" else mine + theirs)


def habits(chance: random.Random) -> Habits:
    """A wallet's ways with APDUs: short or extended, reads large or small, one that ignores Le, one that fills late."""
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
    """A phone's ways with blocks: frame size, waiting time."""
    return Traits(fsci=chance.choice((2, 5, 8)), fwi=chance.choice((5, 7, 8)), sfgi=chance.choice((0, 4)))


def nfc_noise(chance: random.Random) -> Faults:
    """Up to one block in six does not make it there and back, and now and then the chip goes deaf in the middle.

    Real air is better, real lines are much better.
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
    """Something that happens to one part of a message between the lock and the phone with that address."""
    what: Literal["drop", "duplicate", "delay", "cut"] = chance.choice(("drop", "duplicate", "delay", "cut"))
    way: Literal["notification", "write"] = chance.choice(("notification", "write"))
    # Five bytes and more: a part, and not a State.
    return PartFault(what, chance.randint(1, 8), way, longer_than=4, between=phone)


class Crew:
    """Guests of one stay with different phones, a stranger, and the door they come to."""

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
        """Everybody taps once in the noise of `seed`, then one of them over each radio without."""
        door, chance, tally = self.door, random.Random(seed), Tally()
        self.over_ble.phone.ble_modes = frozenset({chance.choice(("central", "peripheral"))})
        everybody = [*self.guests, self.over_ble, self.stranger]
        chance.shuffle(everybody)
        for visitor in everybody:
            door.reader.traits = traits(chance)
            visitor.phone.habits = habits(chance)
            noisy = partial(self._try, visitor, tally, chance)
            if visitor is self.stranger:
                tally.wrong += await noisy()
            else:
                await _attempt(noisy, tally)
        for visitor in (self.guests[0], self.over_ble):
            clean = partial(self._try, visitor, tally)
            if not await clean():  # what the noise left behind may cost one tap, not a second
                tally.wedged += not await clean()
        return tally

    async def _try(self, visitor: Visitor, tally: Tally, chance: random.Random | None = None) -> bool:
        """One tap, in noise of its own if there is a `chance` for it. Did the door open?"""
        self.door.reader.go_wrong(Faults() if chance is None else nfc_noise(chance))
        self.site.air.faults = []
        if chance is not None and chance.random() < BROKEN_PARTS:
            self.site.air.faults = [part_fault(chance, self.bluetooth.address)]
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
    """Three guests of one stay and a stranger. The one who is read over BLE has a Bluetooth host of its own process."""
    static = site.visitor()
    negotiating = site.visitor(issuer.RESIDENT_ID, "mac")
    negotiating.phone.negotiates = True
    over_ble = site.visitor()
    over_ble.phone.nfc = False
    async with BleProcess(site.hci, BleHabits(mtu=185)) as bluetooth:
        over_ble.phone.radio = bluetooth
        await site.doors[0].bookings.book(static, negotiating, over_ble)
        yield Crew(site, [static, negotiating], over_ble, site.visitor(), bluetooth)
