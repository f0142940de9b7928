"""`python -m sim demo` shows newcomers a guest's first check-in, two refusals, and an outage that ends.

All values shown were measured, or read from the running parts, just before. The exit code is 0 only if all promises
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

from edge_agent.counted import counted
from protocol.errors import ConfigError, MooringError, TransportError
from protocol.record import CHECK_IN
from sim import issuer, timeline, views
from sim.board.openings import openings
from sim.progress import Progress
from sim.scenarios.story import Promise, Script, in_flash_first, told
from sim.shown import Signal, dark, signals
from sim.site import LISTING, ROOM, Site, build
from sim.tap import Tap
from sim.visitors import Visitor

TO_DO = {
    Signal("red", 220, 1): "ask the host or the booking platform",
    Signal("red", 220, 2): "use another document",
    Signal("red", 220, 3): "look at the phone, and tap again",
}
"""For each signal of a refusal, what the guest should do (docs/door-signals.md)."""
_SEED = 7


def show(progress: Progress, runtime: str = "micropython", picture: Path | None = None) -> int:
    """Tell the story on `progress`. Returns 0 if every promise held, else 1.

    If `picture` is given and every promise held, an SVG is written there. It shows the story up to the three views of
    the record. Raises ConfigError if something that the demo needs is missing.
    """
    held, drawn = asyncio.run(_tell(progress, runtime))
    if picture is not None and held:
        picture.write_text(drawn)
        progress.print(f"The picture of it is in {picture}.")
    return 0 if held else 1


async def _tell(progress: Progress, runtime: str) -> tuple[bool, str]:
    """Tell the story. Returns whether every promise held, and the picture as SVG."""
    began = time.monotonic()
    promises: list[Promise] = []
    error: str | None = None
    drawn = ""

    def step(text: str) -> None:
        progress.step("· " + text, "dim")

    with tempfile.TemporaryDirectory(prefix="mooring-demo-") as folder:
        try:
            async with build(Path(folder), _SEED, runtime, on_step=step) as site:
                script = Script(site, promises)
                site.on_step = lambda text: None
                edge = script.edge.process and script.edge.process.pid
                heap = "" if site.interpreter.heap is None else f", heap {site.interpreter.heap}"
                step(f"lock on {site.interpreter}{heap}; edge agent is process {edge}")
                progress.print()
                await _check_in(progress, script)
                drawn = progress.drawn()
                _knowledge(progress, site)
                await _refusals(progress, script)
                await _outage(progress, script)
                progress.waiting("searching everything stored or sent for the guests' data")
                script.promise(
                    "no guest's data readable at the edge, on MQTT, in flash or in a log", not site.exposed()
                )
                script.promise("no registration is held twice", site.duplicates() == 0)
                in_flash_first(script)
                progress.waiting("putting everything away")
        except ConfigError:
            raise
        except MooringError as problem:
            error = told(problem, kept=False)
    progress.waiting("")
    held = error is None and bool(promises) and all(promise.held for promise in promises)
    progress.print(_verdict(promises, error, held, time.monotonic() - began))
    return held, drawn


def _heading(progress: Progress, number: int, title: str) -> None:
    progress.print(Rule(f"[bold]{number}  {title}[/bold]", align="left", style="cyan"))
    progress.print()


# --- 1: the check-in -------------------------------------------------------------------------------------------------


async def _check_in(progress: Progress, script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    guest = site.visitor(issuer.MDL)
    progress.waiting("the grant is on its way to the lock")
    await door.bookings.book(guest)
    _heading(progress, 1, f"{guest.name} checks in")
    progress.print(
        f"  Booked: listing {LISTING} ({ROOM}).\n"
        "  The lock knows the guest only as a keyed hash, in a grant that the platform\n"
        "  signed. In the phone: a driving licence, issued by pymdoccbor.\n"
    )
    progress.waiting("the phone is at the reader")
    tap = await door.tap(guest)
    script.promise("the booked guest's tap opened the door", tap.opened)
    go_on_if_opened(tap)
    progress.waiting("the record is on its way to the province, and the receipt back")
    await door.settle(1)
    await site.until("the edge forgets the record", lambda: bool(edge.events("receipt.accepted")))
    script.promise("the province holds the registration", _registered(site, guest) == 1)
    script.promise("the lock trimmed its journal on the receipt", door.findings.receipted() == 1)
    counter = next(o.durable.counter for o in openings(door.bus.history) if o.durable and o.durable.counter)
    said = timeline.moments(site, door, tap)
    to_open = next(moment.at for moment in said if moment.name == "opened") - said[0].at
    progress.print(timeline.table(said))
    progress.print(
        f"\n  Tap to open door: [bold]{to_open * 1000:.0f} ms[/bold] here.\n"
        "  Nothing before the strike waited for a network.\n"
    )
    progress.print(views.views(site, door, counter))
    progress.print()


def go_on_if_opened(tap: Tap) -> None:
    """Raise TransportError `site.shut` if the door stayed shut. Otherwise the story would wait forever for a record."""
    if not tap.opened:
        raise TransportError("site.shut", f"the door did not open to a guest ({tap}); the rest is left out")


def _knowledge(progress: Progress, site: Site) -> None:
    progress.waiting("searching everything stored or sent for the guests' data")
    progress.print(views.knowledge())
    progress.print(f"\n  {views.searched(site)}\n")


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
    _heading(progress, 2, "Two who are not let in")
    before = door.findings.openings(), door.findings.recorded()
    stranger = site.visitor(issuer.MDL)
    unknown = await _turned_away(progress, script, stranger)
    claim = "a stranger without a grant stayed outside"
    script.promise(claim, not unknown.tap.opened and unknown.tap.refusal == "grant.none")
    _tell_refusal(progress, "A stranger with a real, valid document", "no grant names this guest", unknown)
    cheat = site.visitor(issuer.MDL)
    progress.waiting("the grant is on its way to the lock")
    await door.bookings.book(cheat)
    cheat.phone.tamper = "element-value"
    altered = await _turned_away(progress, script, cheat)
    claim = "a tampered credential stayed outside"
    script.promise(claim, not altered.tap.opened and altered.tap.refusal == "mdoc.digest")
    nothing = before == (door.findings.openings(), door.findings.recorded())
    script.promise("neither moved the strike nor was registered", nothing)
    _tell_refusal(progress, "A booked guest who altered the document", "an element is not as signed", altered)
    progress.print(f"  {_alike(unknown.signal, altered.signal)}\n")


async def _turned_away(progress: Progress, script: Script, visitor: Visitor) -> _Refusal:
    site, door = script.site, script.door
    events = len(door.bus.history)
    progress.waiting("somebody is at the reader")
    tap = await door.tap(visitor)
    progress.waiting("the door shows its answer")
    heard: list[Signal] = []

    def over() -> bool:
        heard[:] = signals(door.bus.history[events:])
        return bool(heard) and dark(door.bus.history)

    await site.until("a tone, and then the light goes out", over)
    return _Refusal(tap, heard[-1])


def _tell_refusal(progress: Progress, who: str, why: str, refusal: _Refusal) -> None:
    progress.print(f"  [bold]{who}[/bold]")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 4))
    table.add_row("the lock says", f"[red]{refusal.tap.refusal}[/red]: {why}")
    table.add_row("it shows", str(refusal.signal))
    if refusal.signal in TO_DO:
        table.add_row("which means", TO_DO[refusal.signal])
    table.add_row("the strike", "[red]moved[/red]" if refusal.tap.opened else "did not move")
    progress.print(table)
    progress.print()


def _alike(one: Signal, other: Signal) -> str:
    """Return a sentence that tells what somebody learns by watching both refusals."""
    if one == other:
        return "Both were shown the same."
    if one.colour == other.colour:
        return f"Both saw the same {one.colour} light; the tone says what to do next, and not why."
    return "The door showed something different to each."


# --- 3: an outage ----------------------------------------------------------------------------------------------------


async def _outage(progress: Progress, script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    _heading(progress, 3, "The network is down, and comes back")
    guests = [site.visitor(issuer.RESIDENT_ID, "mac"), site.visitor(issuer.MDL)]
    progress.waiting("the grant is on its way to the lock")
    await door.bookings.book(*guests)
    held = door.findings.recorded()
    progress.waiting("the broker is killed")
    await asyncio.to_thread(site.broker.stop)
    progress.print("  The broker is killed. Two more guests arrive.")
    for guest in guests:
        progress.waiting("the phone is at the reader")
        tap = await door.tap(guest)
        script.promise(f"without a network the door opened to {guest.name}", tap.opened)
        kind = "deviceMac" if guest.phone.authentication == "mac" else "deviceSignature"
        progress.print(f"    {guest.name}: {tap}\n      by {guest.doc_type}, {kind}")
        go_on_if_opened(tap)
    progress.waiting("the records are on their way to the edge agent")
    await site.until("the edge holds both", lambda: len(edge.events("record.stored")) >= held + 2)
    script.promise("the province could not know yet", door.findings.recorded() == held)
    stored = len(edge.events("record.stored")) - held
    progress.print(
        f"  The edge agent's outbox holds {counted(stored, 'sealed record')}; the province still has {held}."
    )
    progress.waiting("the broker is back; the edge agent looks for it every few seconds")
    await asyncio.to_thread(site.broker.start)
    back = time.monotonic()
    await door.settle(held + 2)
    healed = time.monotonic() - back
    once = all(_registered(site, guest) == 1 for guest in guests)
    script.promise("after the outage both are registered, each exactly once", once)
    await door.drain()  # the lock records refusals too, as soon as the door is idle
    script.promise("no record is missing between the first and the last", door.findings.unbroken())
    progress.print(
        f"  The broker is back: {healed:.1f} s later the province has all {door.findings.recorded()}, each receipted.\n"
    )


def _verdict(promises: list[Promise], error: str | None, held: bool, seconds: float) -> Panel:
    lines = [f"{'[green]✓[/green]' if promise.held else '[red]✗[/red]'} {promise.claim}" for promise in promises]
    if error is not None:
        lines.append(f"[red]✗ went wrong: {error}[/red]")
    title = f"all {counted(len(promises), 'promise')} held" if held else "[red]NOT all promises held[/red]"
    return Panel("\n".join(lines), title=f"{title}, {seconds:.0f} s", border_style="green" if held else "red")
