"""Scenarios of both radios: all ways to read a phone, phones that are taken away, noise, and two phones at once.

The seed chooses the phones' habits and the faults.
"""

import asyncio
import contextlib
from typing import Literal

from protocol.errors import TransportError
from sim.nfc.faults import Faults
from sim.phone.applet import Habits
from sim.phone.ble import BleHabits
from sim.phone.ble_process import BleProcess
from sim.phone.engagement import Mode
from sim.radio.air import PartFault
from sim.scenarios import noise
from sim.scenarios.story import Script, story
from sim.shown import signals
from sim.tap import Tap
from sim.visitors import Visitor
from sim.words import Phrase, phrase

_ROUNDS = 1
_DECLINED = "session.declined"
_WAYS = {"notification": phrase("notification"), "write": phrase("write")}


async def _nfc(script: Script, negotiates: bool) -> None:
    """Let guests in over NFC with phones of different habits. A stranger and a guest who declines are not let in."""
    site, door, chance = script.site, script.door, script.site.random
    guests = [site.visitor(authentication=way) for way in ("signature", "mac")]
    await door.bookings.book(*guests)
    for guest in guests:
        guest.phone.hand_over(negotiates)
        guest.phone.behave(noise.habits(chance))
        door.reader.expect(noise.traits(chance))
        tap = await door.tap(guest)
        script.promise(
            "the phone of {guest} is read over NFC and opens the door: {habits}",
            _carried(tap, "nfc"),
            guest=guest.name,
            habits=guest.phone.habits,
        )
    stranger = site.visitor()
    stranger.phone.hand_over(negotiates)
    _refused(script, await door.tap(stranger), phrase("a stranger read in the same way is refused"), "grant.none")
    guests[0].phone.decline()
    _refused(script, await door.tap(guests[0]), phrase("a guest who declines on the phone is refused"), _DECLINED)
    await door.settle(2)
    script.promise("the strike moved for the two guests, once each", door.findings.openings() == 2)


@story("nfc-static", "Static handover and retrieval over NFC, with phones whose APDUs and blocks differ.")
async def _nfc_static(script: Script) -> None:
    await _nfc(script, negotiates=False)
    silent = script.site.visitor()
    silent.phone.offer_nothing()
    tap = await script.door.tap(silent)
    _refused(script, tap, phrase("a phone that offers no retrieval is refused"), "reader.no_carrier")


@story(
    "nfc-negotiated", "Negotiated handover over NFC, with phones whose NDEF file is empty at first; one stays empty."
)
async def _nfc_negotiated(script: Script) -> None:
    await _nfc(script, negotiates=True)
    empty = script.site.visitor()
    empty.phone.hand_over(negotiated=True)
    empty.phone.behave(Habits(empty_polls=1000))
    _refused(script, await script.door.tap(empty), phrase("a phone whose file stays empty is refused"), "nfc.empty")


async def _ble(script: Script, mode: Mode) -> None:
    """Let a guest in over BLE. If the connection breaks or the guest declines, the door stays shut."""
    site, door, chance = script.site, script.door, script.site.random
    mtu = chance.choice((23, 185, 247, 515))
    async with BleProcess(site.hci, BleHabits(mtu=mtu)) as bluetooth:
        guest, stranger = site.visitor(), site.visitor()
        for visitor in (guest, stranger):
            visitor.phone.offer_ble_alone(mode, bluetooth)
            visitor.phone.hand_over(chance.random() < 0.5)
        await door.bookings.book(guest)
        agreed = guest.phone.wait_for_owner()
        before = len(door.lock.console)
        tapping = asyncio.create_task(door.tap(guest))
        await door.lock.wait_for("mdoc.asked", since=before)
        await door.bookings.book(site.visitor())
        script.promise("while the phone is being read the edge link carries a grant", not tapping.done())
        agreed.set()
        script.promise("the phone, at MTU {mtu}, opens the door", _carried(await tapping, "ble"), mtu=mtu)
        script.promise("the connection had that MTU", bluetooth.mtu == mtu)
        _refused(script, await door.tap(stranger), phrase("a stranger read in the same way is refused"), "grant.none")
        way: Literal["notification", "write"] = chance.choice(("notification", "write"))
        part = chance.randint(1, 5)
        site.air.go_wrong(PartFault("cut", part, way, longer_than=4, between=bluetooth.address))
        tap = await door.tap(guest)
        cut = phrase("a connection cut at {way} {part} ends the read", way=_WAYS[way], part=part)
        _refused(script, tap, cut, "ble.lost", "ble.no_phone")
        site.air.go_wrong()
        script.let_in(await door.tap(guest), "the same phone is let in at the next tap")
        guest.phone.decline()
        _refused(script, await door.tap(guest), phrase("a guest who declines on the phone is refused"), _DECLINED)
    await door.settle(2)
    script.promise("the strike moved twice, for the guest", door.findings.openings() == 2)


@story(
    "ble-server",
    "Retrieval over BLE from a phone that is the central: the lock is the server. A cut, and a guest who declines.",
)
async def _ble_server(script: Script) -> None:
    await _ble(script, "central")


@story(
    "ble-central",
    "Retrieval over BLE from a phone that is the peripheral: the lock is the central. A cut, and a guest who declines.",
)
async def _ble_central(script: Script) -> None:
    await _ble(script, "peripheral")


@story("tear-off", "A phone is taken away at some block, again and again. Each opening has its record.")
async def _tear_off(script: Script) -> None:
    site, door, chance = script.site, script.door, script.site.random
    opened = 0
    for block in sorted(chance.sample(range(40), 4)):
        # Invent a new guest each time, because the third entry of the same guest would be counted and recorded later.
        guest = site.visitor()
        await door.bookings.book(guest)
        door.reader.expect(noise.traits(chance))
        door.reader.go_wrong(Faults(tear_off_at=block))
        torn = await door.tap(guest)
        door.reader.go_wrong(Faults())
        opened += torn.opened
        result = phrase("had presented") if torn.opened else torn.refusal or phrase("not noticed")
        script.promise(
            "taken away at block {block}: {result}",
            door.findings.openings() == opened and torn.refusal in (None, "nfc.gone", "nfc.timeout"),
            block=block,
            result=result,
        )
        again = await door.tap(guest)
        opened += again.opened
        script.let_in(again, "after block {block} the next tap is served", block=block)
    await door.settle(opened)
    script.promise(
        "each opening has its record, and no other", door.findings.recorded() == door.findings.openings() == opened
    )


@story(
    "noisy-air", "Frames between phone, chip and lock are lost, damaged and late. Guests get in, a stranger does not."
)
async def _noisy_air(script: Script) -> None:
    site, door = script.site, script.door
    tally = noise.Tally()
    async with noise.crew(site) as crew:
        for _ in range(_ROUNDS):
            tally.add(await crew.round(site.random.randrange(1 << 30)))
    script.promise(
        "of {taps:tap} {at_once} opened at once and {again} at the second try",
        tally.unfinished <= 1 and tally.taps == tally.at_once + tally.again + tally.unfinished,
        taps=tally.taps,
        at_once=tally.at_once,
        again=tally.again,
    )
    script.promise("nobody came in without permission", tally.wrong == 0)
    script.promise("the door served a clean tap after each round", tally.wedged == 0)
    await door.settle(door.findings.openings())


@story("two-phones", "Two phones at the reader at once; then a second phone while the first is being read over BLE.")
async def _two_phones(script: Script) -> None:
    site, door = script.site, script.door
    first, second, stranger = site.visitor(), site.visitor(), site.visitor()
    await door.bookings.book(first, second)
    await _two_in_the_field(script, first)
    async with BleProcess(site.hci) as bluetooth:
        first.phone.offer_ble_alone(site.random.choice(("central", "peripheral")), bluetooth)
        agreed = first.phone.wait_for_owner()
        before, shown = len(door.lock.console), len(door.bus.history)
        tapping = asyncio.create_task(door.tap(first))
        await door.lock.wait_for("mdoc.asked", since=before)
        other = asyncio.create_task(site.random.choice((second, stranger)).phone.tap(door.reader))
        await door.lock.wait_for("tap.busy", since=before)
        white = phrase("the light is white")
        with contextlib.suppress(TransportError):
            await site.until(str(white), lambda: _shown(script, shown, "white"))
        script.promise(white, _shown(script, shown, "white"))
        other.cancel()
        agreed.set()
        tap = await tapping
        begun = [line.event for line in tap.console].count("tap.start")
        script.promise("the second phone is told that the door is busy, and is not read", begun == 1)
        script.promise("the guest being read over BLE does not notice", _carried(tap, "ble"))
    script.let_in(await door.tap(second), "then the other guest is let in")
    _refused(script, await door.tap(stranger), phrase("a stranger is still not let in"), "grant.none")
    await door.settle(3)
    script.promise("the strike moved three times", door.findings.openings() == 3)


async def _two_in_the_field(script: Script, guest: Visitor) -> None:
    door = script.door
    beside = door.reader.card(b"\x08\x00\x00\x02")
    before = len(door.lock.console)
    door.reader.antenna.bring(beside)
    tapping = asyncio.create_task(door.tap(guest))
    await door.lock.wait_for("reader.trouble", since=before, where=lambda line: line.facts["code"] == "nfc.collision")
    said = [line.event for line in door.lock.console[before:]]
    script.promise("of two phones at the reader, neither is read", "tap.start" not in said)
    door.reader.antenna.take(beside)
    script.let_in(await tapping, "the phone that stays is let in")


def _carried(tap: Tap, carrier: str) -> bool:
    return tap.opened and tap.outcome.carrier == carrier


def _refused(script: Script, tap: Tap, claim: Phrase, *codes: str) -> None:
    """Make the promises of `Script.refused`, and also promise the colour of the light. Amber means "try again"."""
    script.refused(tap, claim, *codes)
    shown = None if tap.answer is None else tap.answer.colour
    if str(tap.refusal).startswith(("nfc.", "ble.")):
        script.promise(phrase("{claim}: the light is amber", claim=claim), shown == "amber")
    else:
        script.promise(phrase("{claim}: the light is red", claim=claim), shown == "red")


def _shown(script: Script, since: int, colour: str) -> bool:
    """Has the door shown a signal of this colour since `history[since]`?"""
    return any(signal.colour == colour for signal in signals(script.door.bus.history[since:]))
