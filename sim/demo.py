"""`python -m sim demo` shows newcomers a guest's first check-in, two refusals, and an outage that ends.

Just before a value is shown, it is measured or read from the running parts. The exit code is 0 only if all promises
held.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from protocol.errors import ConfigError, MooringError, TransportError
from protocol.record import CHECK_IN
from sim import issuer, timeline, views
from sim.lines import Lines
from sim.progress import Progress
from sim.scenarios.story import Promise, Script, in_flash_first, told
from sim.shown import LIGHTS, Signal, paused, signals
from sim.site import LISTING, ROOM, Site, build
from sim.tap import Tap
from sim.visitors import Visitor
from sim.words import Phrase, phrase

TO_DO = {
    Signal("red", 220, 1): phrase("ask the host or the booking platform"),
    Signal("red", 220, 2): phrase("use another document"),
    Signal("red", 220, 3): phrase("look at the phone, and tap again"),
}
"""For each signal of a refusal, what the guest should do (docs/door-signals.md)."""
_SEED = 7


def show(progress: Progress, runtime: str = "micropython", picture: Path | None = None) -> int:
    """Tell the story on `progress`. Returns 0 if every promise held, else 1.

    If `picture` is given and every promise held, an SVG is written there. The picture shows the story until the record
    is shown in three views. What follows in the story is not in the picture. Raises ConfigError if something that the
    demo needs is missing.
    """
    held, drawn = asyncio.run(_tell(progress, runtime))
    if picture is not None and held:
        picture.write_text(drawn)
        progress.say(phrase("The picture of it is in {file}.", file=picture), indent=0)
    return 0 if held else 1


async def _tell(progress: Progress, runtime: str) -> tuple[bool, str]:
    """Tell the story. Returns whether every promise held, and the picture as SVG."""
    began = time.monotonic()
    promises: list[Promise] = []
    error: str | None = None
    drawn = ""

    def step(what: Phrase) -> None:
        progress.step(phrase("· {step}", step=what), "dim")

    with tempfile.TemporaryDirectory(prefix="mooring-demo-") as folder:
        try:
            async with build(Path(folder), _SEED, runtime, on_step=step) as site:
                script = Script(site, promises)
                site.tell_nobody()
                step(_runs_on(script))
                progress.print()
                await _check_in(progress, script)
                drawn = progress.drawn()
                _knowledge(progress, site)
                await _refusals(progress, script)
                await _outage(progress, script)
                progress.waiting(phrase("searching everything stored or sent for the guests' data"))
                script.promise(
                    "no guest's data readable at the edge, on MQTT, in flash or in a log", not site.exposed()
                )
                script.promise("no registration is held twice", site.duplicates() == 0)
                in_flash_first(script)
                progress.waiting(phrase("putting everything away"))
        except ConfigError:
            raise
        except MooringError as problem:
            error = told(problem, kept=False)
    progress.waiting("")
    held = error is None and bool(promises) and all(promise.held for promise in promises)
    progress.print(_verdict(progress.language, promises, error, held, time.monotonic() - began))
    return held, drawn


def _runs_on(script: Script) -> Phrase:
    """Return what runs the lock, and the process of the edge agent."""
    interpreter, process = script.site.interpreter, script.edge.process
    heap = phrase("") if interpreter.heap is None else phrase(", heap {heap}", heap=interpreter.heap)
    return phrase(
        "lock on {interpreter}{heap}; edge agent is process {edge}",
        interpreter=interpreter,
        heap=heap,
        edge=process and process.pid,
    )


def _heading(progress: Progress, number: int, title: Phrase) -> None:
    progress.print(Rule(Text(f"{number}  {title.said(progress.language)}", "bold"), align="left", style="cyan"))
    progress.print()


# --- 1: the check-in -------------------------------------------------------------------------------------------------


async def _check_in(progress: Progress, script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    guest = site.visitor(issuer.MDL)
    progress.waiting(phrase("the grant is on its way to the lock"))
    await door.bookings.book(guest)
    _heading(progress, 1, phrase("{guest} checks in", guest=guest.name))
    progress.say(
        phrase(
            "Booked: listing {listing} ({room}).\n"
            "The lock knows the guest only as a keyed hash, in a grant that the platform\n"
            "signed. In the phone: a driving licence, issued by pymdoccbor.\n",
            listing=LISTING,
            room=ROOM,
        )
    )
    progress.waiting(phrase("the phone is at the reader"))
    tap = await door.tap(guest)
    script.promise("the booked guest's tap opened the door", tap.opened)
    go_on_if_opened(tap)
    progress.waiting(phrase("the record is on its way to the province, and the receipt back"))
    await door.settle(1)
    await site.until("the edge forgets the record", lambda: bool(edge.events("receipt.accepted")))
    script.promise("the province holds the registration", _registered(site, guest) == 1)
    script.promise("the lock trimmed its journal on the receipt", door.findings.receipted() == 1)
    counter = next(o.durable.counter for o in door.findings.opened() if o.durable and o.durable.counter)
    said = timeline.moments(site, door, tap)
    to_open = next(moment.at for moment in said if moment.name == "opened") - said[0].at
    progress.print(timeline.table(said, progress.language))
    progress.print()
    progress.say(phrase("Tap to open door: {ms:.0f} ms here.", ms=to_open * 1000), style="bold")
    progress.say(phrase("Nothing before the strike waited for a network."))
    progress.print()
    progress.print(views.views(site, door, counter, progress.language))
    progress.print()


def go_on_if_opened(tap: Tap) -> None:
    """Raise TransportError `site.shut` if the door stayed shut. Otherwise the story would wait forever for a record."""
    if not tap.opened:
        raise TransportError("site.shut", f"the door did not open to a guest ({tap}); the rest is left out")


def _knowledge(progress: Progress, site: Site) -> None:
    progress.waiting(phrase("searching everything stored or sent for the guests' data"))
    progress.print(views.knowledge(progress.language))
    progress.print()
    progress.say(views.searched(site))
    progress.print()


def _registered(site: Site, guest: Visitor) -> int:
    number = guest.person.document_number
    return sum(1 for item in site.province.registrations(CHECK_IN) if item.fields["id_number"] == number)


# --- 2: refusals -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Refusal:
    """A refused tap, with the light and the tone that followed it."""

    tap: Tap
    signal: Signal


async def _refusals(progress: Progress, script: Script) -> None:
    site, door = script.site, script.door
    _heading(progress, 2, phrase("Two who are not let in"))
    before = door.findings.openings(), door.findings.recorded()
    stranger = site.visitor(issuer.MDL)
    unknown = await _turned_away(progress, script, stranger)
    outside = not unknown.tap.opened and unknown.tap.refusal == "grant.none"
    script.promise("a stranger without a grant stayed outside", outside)
    who, why = phrase("A stranger with a real, valid document"), phrase("no grant names this guest")
    _tell_refusal(progress, who, why, unknown)
    cheat = site.visitor(issuer.MDL)
    progress.waiting(phrase("the grant is on its way to the lock"))
    await door.bookings.book(cheat)
    cheat.phone.alter("element-value")
    altered = await _turned_away(progress, script, cheat)
    outside = not altered.tap.opened and altered.tap.refusal == "mdoc.digest"
    script.promise("a tampered credential stayed outside", outside)
    nothing = before == (door.findings.openings(), door.findings.recorded())
    script.promise("neither moved the strike nor was registered", nothing)
    who, why = phrase("A booked guest who altered the document"), phrase("an element is not as signed")
    _tell_refusal(progress, who, why, altered)
    progress.say(_alike(unknown.signal, altered.signal))
    progress.print()


async def _turned_away(progress: Progress, script: Script, visitor: Visitor) -> _Refusal:
    site, door = script.site, script.door
    events = len(door.bus.history)
    progress.waiting(phrase("somebody is at the reader"))
    tap = await door.tap(visitor)
    progress.waiting(phrase("the door shows its answer"))
    heard: list[Signal] = []

    def over() -> bool:
        heard[:] = signals(door.bus.history[events:])
        return bool(heard) and paused(door.bus.history)

    await site.until("a tone, and then the light stays out", over)
    return _Refusal(tap, heard[-1])


def _tell_refusal(progress: Progress, who: Phrase, why: Phrase, refusal: _Refusal) -> None:
    progress.say(who, style="bold")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 4))
    code = phrase("{code}: {why}", code=refusal.tap.refusal, why=why)
    rows = [(phrase("the lock says"), code, "red"), (phrase("it shows"), refusal.signal.told(), "")]
    if refusal.signal in TO_DO:
        rows.append((phrase("which means"), TO_DO[refusal.signal], ""))
    moved = (phrase("moved"), "red") if refusal.tap.opened else (phrase("did not move"), "")
    rows.append((phrase("the strike"), *moved))
    for name, what, style in rows:
        table.add_row(name.said(progress.language), Lines(what.said(progress.language), style))
    progress.print(table)
    progress.print()


def _alike(one: Signal, other: Signal) -> Phrase:
    """Return a sentence that tells what somebody learns by watching both refusals."""
    if one == other:
        return phrase("Both were shown the same.")
    if one.colour == other.colour:
        light = LIGHTS[one.colour]
        return phrase("Both saw the same {light}; its rhythm says what to do next, and not why.", light=light)
    return phrase("The door showed something different to each.")


# --- 3: an outage ----------------------------------------------------------------------------------------------------


async def _outage(progress: Progress, script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    _heading(progress, 3, phrase("The network is down, and comes back"))
    guests = [site.visitor(issuer.RESIDENT_ID, "mac"), site.visitor(issuer.MDL)]
    progress.waiting(phrase("the grant is on its way to the lock"))
    await door.bookings.book(*guests)
    held = door.findings.recorded()
    progress.waiting(phrase("the broker is killed"))
    await asyncio.to_thread(site.broker.stop)
    progress.say(phrase("The broker is killed. Two more guests arrive."))
    for guest in guests:
        progress.waiting(phrase("the phone is at the reader"))
        tap = await door.tap(guest)
        script.promise("without a network the door opened to {guest}", tap.opened, guest=guest.name)
        kind = "deviceMac" if guest.phone.authentication == "mac" else "deviceSignature"
        progress.say(phrase("{guest}: {result}", guest=guest.name, result=tap.told()), indent=4)
        progress.say(phrase("by {document}, {kind}", document=guest.doc_type, kind=kind), indent=6)
        go_on_if_opened(tap)
    progress.waiting(phrase("the records are on their way to the edge agent"))
    await site.until("the edge holds both", lambda: len(edge.events("record.stored")) >= held + 2)
    script.promise("the province could not know yet", door.findings.recorded() == held)
    stored = len(edge.events("record.stored")) - held
    progress.say(
        phrase(
            "The edge agent's outbox holds {stored:sealed record}; the province still has {held}.",
            stored=stored,
            held=held,
        )
    )
    progress.waiting(phrase("the broker is back; the edge agent looks for it every few seconds"))
    await asyncio.to_thread(site.broker.start)
    back = time.monotonic()
    await door.settle(held + 2)
    healed = time.monotonic() - back
    once = all(_registered(site, guest) == 1 for guest in guests)
    script.promise("after the outage both are registered, each exactly once", once)
    await door.drain()  # the lock records refusals too, as soon as the door is idle
    script.promise("no record is missing between the first and the last", door.findings.unbroken())
    progress.say(
        phrase(
            "The broker is back: {seconds:.1f} s later the province has all {records}, each receipted.",
            seconds=healed,
            records=door.findings.recorded(),
        )
    )
    progress.print()


def _verdict(language: str, promises: list[Promise], error: str | None, held: bool, seconds: float) -> Panel:
    table = Table.grid(padding=(0, 1))
    for promise in promises:
        mark = Text("✓", "green") if promise.held else Text("✗", "red")
        table.add_row(mark, Lines(promise.claim.said(language)))
    if error is not None:
        table.add_row(Text("✗", "red"), Lines(phrase("went wrong: {error}", error=error).said(language), "red"))
    if held:
        title = phrase("all {promises:promise} held, {seconds:.0f} s", promises=len(promises), seconds=seconds)
    else:
        title = phrase("NOT all promises held, {seconds:.0f} s", seconds=seconds)
    colour = "green" if held else "red"
    return Panel(table, title=Text(title.said(language), "" if held else "red"), border_style=colour)
