"""`python -m sim demo`: a guest's first check-in for newcomers, two refusals, and an outage that heals.

Everything shown was measured or read from the running parts a moment before; the exit code is 0 only if all of it held.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from protocol.errors import ConfigError, MooringError
from protocol.record import CHECK_IN
from sim import issuer, timeline
from sim.board.interpreter import HEAP
from sim.scenarios.story import Promise, Script
from sim.visitors import Visitor
from sim.world import LISTING, ROOM, Tap, World, build

WIDTH = 118


async def show(runtime: str = "micropython", seed: int | None = None) -> int:
    """Tell the story on stdout. Returns 0 if every promise held, else 1. Raises ConfigError for what is missing."""
    console = Console(width=WIDTH, highlight=False)
    began = time.monotonic()
    console.print()
    console.print("[bold]Mooring[/bold]  one door, from a guest's tap to the province's receipt")
    console.print(
        "[dim]Real: firmware and interpreter, edge agent, MQTT, SQLite, littlefs, credential. In software: the[/dim]"
    )
    console.print(
        "[dim]board's chips, the radio waves, the phone, the province. Every person here is invented.[/dim]\n"
    )
    promises: list[Promise] = []
    error: str | None = None
    with tempfile.TemporaryDirectory(prefix="mooring-demo-") as folder:
        say = _say(console)
        try:
            async with build(Path(folder), seed or 7, runtime, on_step=say) as world:
                script = Script(world, promises)
                world.on_step = lambda text: None
                edge = world.edge and world.edge.pid
                say(f"lock on {world.interpreter}, heap {HEAP}; edge agent is process {edge}")
                console.print()
                await _check_in(console, script)
                await _refusals(console, script)
                await _outage(console, script)
                exposed = world.exposed()
                script.promise("no guest's data was readable at the edge, on MQTT, in flash or in any log", not exposed)
                script.promise("no registration is held twice", world.duplicates() == 0)
        except ConfigError:
            raise
        except MooringError as problem:
            error = str(problem)
    _verdict(console, promises, error, time.monotonic() - began)
    return 0 if error is None and promises and all(promise.held for promise in promises) else 1


def _say(console: Console) -> Callable[[str], None]:
    def say(text: str) -> None:
        console.print(f"  [dim]· {text}[/dim]")

    return say


def _heading(console: Console, number: int, title: str) -> None:
    console.rule(f"[bold]{number}  {title}[/bold]", align="left", style="cyan")
    console.print()


# --- 1: the check-in -------------------------------------------------------------------------------------------------


async def _check_in(console: Console, script: Script) -> None:
    world = script.world
    guest = world.visitor(issuer.MDL)
    await world.book(guest)
    _heading(console, 1, f"{guest.name} checks in")
    console.print(
        f"  Booked: listing {LISTING} ({ROOM}). The lock knows the guest only as a keyed hash\n"
        f"  in a grant that the platform signed. In the phone: a driving licence, issued by pymdoccbor.\n"
    )
    tap = await world.tap(guest)
    script.promise("the booked guest's tap opened the door", tap.opened)
    await world.settle(1)
    await world.until("the edge forgets the record", lambda: bool(world.edge_events("receipt.accepted")))
    script.promise("the province holds the registration", _registered(world, guest) == 1)
    script.promise("the lock trimmed its journal on the receipt", world.receipted() == 1)
    console.print(timeline.table(timeline.moments(world, tap)))
    opened = ((tap.opened_at or tap.began) - tap.began) * 1000
    console.print(
        f"\n  Tap to open door: [bold]{opened:.0f} ms[/bold] here. Nothing before the strike waited for any network.\n"
    )
    console.print(timeline.views(world, tap, guest))
    console.print()
    console.print(timeline.knowledge(world, tap, guest))
    console.print()


def _registered(world: World, guest: Visitor) -> int:
    number = guest.person.document_number
    return sum(1 for item in world.province.registrations(CHECK_IN) if item.fields["id_number"] == number)


# --- 2: refusals -----------------------------------------------------------------------------------------------------


async def _refusals(console: Console, script: Script) -> None:
    world = script.world
    _heading(console, 2, "Two who are not let in")
    table = Table(width=WIDTH - 2, show_edge=False, header_style="dim")
    for column in ("who", "the lock says", "why", "strike", "recorded"):
        table.add_column(column)
    before = world.openings(), world.recorded()
    stranger = world.visitor(issuer.MDL)
    tap = await world.tap(stranger)
    _refusal_row(table, "a stranger with a real, valid document", tap, "no grant names this guest")
    script.promise("a stranger without a grant stayed outside", not tap.opened and tap.refusal == "grant.none")
    cheat = world.visitor(issuer.MDL)
    await world.book(cheat)
    cheat.phone.tamper = "element-value"
    tap = await world.tap(cheat)
    _refusal_row(table, "a booked guest who altered the document", tap, "an element is not what the issuer signed")
    script.promise("a tampered credential stayed outside", not tap.opened and tap.refusal == "mdoc.digest")
    script.promise("neither moved the strike nor was registered", before == (world.openings(), world.recorded()))
    console.print(table)
    console.print("\n  Both saw a red light and heard a low tone; the door behaves the same whatever the reason.\n")


def _refusal_row(table: Table, who: str, tap: Tap, why: str) -> None:
    strike = "[red]moved[/red]" if tap.opened else "shut"
    table.add_row(who, f"[red]{tap.refusal}[/red]", why, strike, "nothing about them")


# --- 3: an outage ----------------------------------------------------------------------------------------------------


async def _outage(console: Console, script: Script) -> None:
    world = script.world
    _heading(console, 3, "The network is down, and comes back")
    guests = [world.visitor(issuer.RESIDENT_ID, "mac"), world.visitor(issuer.MDL)]
    await world.book(*guests)
    held = world.recorded()
    await asyncio.to_thread(world.broker.stop)
    console.print("  The broker is killed. Two more guests arrive.")
    for guest in guests:
        tap = await world.tap(guest)
        script.promise("without a network the door opened all the same", tap.opened)
        took = ((tap.opened_at or tap.began) - tap.began) * 1000
        kind = "deviceMac" if guest.phone.authentication == "mac" else "deviceSignature"
        console.print(f"    {guest.name} ({guest.doc_type}, {kind}): opened after {took:.0f} ms")
    await world.until("the edge holds both", lambda: len(world.edge_events("record.stored")) >= held + 2)
    script.promise("the province could not know yet", world.recorded() == held)
    console.print(f"  The edge agent's outbox holds 2 sealed records; the province still has {held}.")
    await asyncio.to_thread(world.broker.start)
    back = time.monotonic()
    await world.settle(held + 2)
    healed = time.monotonic() - back
    once = all(_registered(world, guest) == 1 for guest in guests)
    script.promise("after the outage both are registered, each exactly once", once)
    script.promise("no record is missing between the first and the last", world.unbroken())
    console.print(
        f"  The broker is back: {healed:.1f} s later the province has all {held + 2}, each once, each receipted.\n"
    )


def _verdict(console: Console, promises: list[Promise], error: str | None, seconds: float) -> None:
    lines = [f"{'[green]✓[/green]' if promise.held else '[red]✗[/red]'} {promise.claim}" for promise in promises]
    if error is not None:
        lines.append(f"[red]✗ went wrong: {error}[/red]")
    held = error is None and bool(promises) and all(promise.held for promise in promises)
    title = f"all {len(promises)} promises held" if held else "[red]NOT all promises held[/red]"
    console.print(
        Panel("\n".join(lines), title=f"{title}, {seconds:.0f} s", width=WIDTH, border_style="green" if held else "red")
    )
