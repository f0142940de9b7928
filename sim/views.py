"""Tables for people. They show a check-in's record as each party has it, and which party could read which data."""

from rich.markup import escape
from rich.table import Table

from edge_agent.counted import counted
from protocol import record
from protocol.record import Record
from sim.door import Door
from sim.site import Site

_HEX_COLUMNS = 48


def _record(site: Site, door: Door, counter: int) -> Record:
    raw = site.province.store.record_bytes(door.lock_id, counter)
    assert raw is not None, "a record is shown only once the province has it"
    return record.parse(raw)


def views(site: Site, door: Door, counter: int) -> Table:
    """Return a table of the record with this counter, as lock, edge agent and province see it."""
    made = _record(site, door, counter)
    fields = next(item.fields for item in site.province.registrations() if item.counter == counter)
    result = Table(title="the same record, three times", title_justify="left", title_style="bold", show_lines=True)
    result.show_header = False
    result.add_column("party", no_wrap=True)
    result.add_column("record", ratio=1, overflow="fold")
    hexed = made.raw.hex()
    lines = [hexed[at : at + _HEX_COLUMNS] for at in range(0, 4 * _HEX_COLUMNS, _HEX_COLUMNS)]
    lock = "\n".join(lines) + f"\n… {counted(len(made.raw), 'byte')}, hash-chained"
    edge = (
        f"lock id     {made.lock_id.hex()[:16]}…\ncounter     {made.counter}\nprevious    {made.previous.hex()[:16]}…\n"
        f"sealed      {counted(len(made.sealed), 'byte')} that only the province can open"
    )
    province = "\n".join(f"{name:<12}{escape(text)}" for name, text in sorted(fields.items()))
    result.add_row("[cyan]at the lock[/cyan]\n(flash)", f"[cyan]{lock}[/cyan]")
    result.add_row("[blue]at the edge[/blue]\n(outbox)", f"[blue]{edge}[/blue]")
    result.add_row("[green]at the\nprovince[/green]", f"[green]{province}[/green]")
    return result


def knowledge() -> Table:
    """Return a table of the data that each party could read by design. `searched` checks it."""
    result = Table(title="who could read what", title_justify="left", title_style="bold", show_edge=False)
    result.add_column("party", no_wrap=True)
    result.add_column("could read", ratio=1, overflow="fold")
    result.add_column("could not read", ratio=1, overflow="fold")
    result.add_row("phone", "everything: it is the guest's", "")
    result.add_row("lock, RAM", "the elements asked for, for the length of the tap", "the portrait: never asked for")
    result.add_row(
        "lock, flash", "counter, hashes, grants, guests as keyed hashes", "name, birth date, document number"
    )
    result.add_row("edge agent", "lock id, counter, sizes, times of day", "who, which document, check-in or entry")
    result.add_row("broker", "the same as the edge agent", "the same as the edge agent")
    result.add_row("platform", "its own booking", "that the guest arrived, and with which document")
    result.add_row("province", "the registration, complete", "nothing more, and it cannot open the door")
    return result


def searched(site: Site) -> str:
    """Search for guests' data now. Returns a sentence about the places searched and the hits."""
    exposed = site.exposed()
    heard = sum(len(message.payload) for message in site.wiretap.heard)
    at_rest = sum(path.stat().st_size for edge in site.edges for path in edge.state.rglob("*") if path.is_file())
    flash = sum(door.image.stat().st_size for door in site.doors)
    found = "found: " + escape(", ".join(exposed)) if exposed else "found none"
    return (
        f"Searched for {counted(site.search().size, 'form')} of guests' data:\n"
        f"  {flash // 1024} KiB of the lock's flash, {at_rest // 1024} KiB at the edge agent, "
        f"{counted(heard, 'byte')} over MQTT,\n  every log: [{'red' if exposed else 'green'}]{found}[/]."
    )
