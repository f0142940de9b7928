"""What happened in a check-in, put together from every party's own words, as tables for people."""

from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from protocol import record
from protocol.record import Record
from sim.visitors import Visitor
from sim.world import Tap, World

_COLOURS = {"phone": "yellow", "lock": "cyan", "edge": "blue", "MQTT": "magenta", "province": "green"}
_BAR = 22


@dataclass(frozen=True)
class Moment:
    """One line of the timeline: seconds (monotonic) at its end, who, what, how long it took in ms if known."""

    at: float
    who: str
    what: str
    took: float | None = None


def moments(world: World, tap: Tap) -> list[Moment]:
    """The check-in from tap to receipt, in order. Each moment comes from the party that it happened to."""
    found = _phone(tap) + _lock(world, tap) + _beyond(world, tap)
    if tap.opened_at is not None:
        found.append(Moment(tap.opened_at, "lock", "[bold green]the strike opens[/bold green]: green light, high tone"))
    return sorted(found, key=lambda moment: moment.at)


def _phone(tap: Tap) -> list[Moment]:
    said = []
    for event in tap.outcome.events:
        at = tap.began + event.seconds
        if event.name == "tap":
            said.append(Moment(at, "phone", "held to the lock"))
        elif event.name == "asked":
            elements = sum(len(names) for item in tap.outcome.asked for names in item.elements.values())
            said.append(
                Moment(
                    at,
                    "phone",
                    f"verifies who asks: {escape(str(tap.outcome.reader))}; {elements} elements over all documents",
                )
            )
        elif event.name == "presented":
            shared = sum(len(names) for spaces in tap.outcome.shared.values() for names in spaces.values())
            said.append(
                Moment(
                    at, "phone", f"agrees, and signs an answer for this session only: {shared} elements, no portrait"
                )
            )
    return said


_LOCK = {
    "nfc.engaged": "NFC engagement: static handover read, {apdus} APDUs",
    "mdoc.session": "session keys agreed (ECDH, AES-256-GCM); request signed with the door's reader key, {bytes} bytes",
    "mdoc.response": "response received and decrypted, {bytes} bytes",
    "mdoc.verified": "verified: issuer's chain, signature, digests, validity, device authentication",
    "door.decided": "decided: a grant names this guest, the stay has begun: check-in",
    "record.sealed": "record sealed to the province (HPKE), signed by the lock: {bytes} bytes",
    "journal.durable": "journal: record {counter} durable in flash",
    "journal.receipted": "[bold]journal trimmed[/bold]: the province has it, by its signature",
}


def _lock(world: World, tap: Tap) -> list[Moment]:
    said = []
    for line in world.lock.console:
        if line.at >= tap.began and line.event in _LOCK:
            took = float(line.facts["ms"]) if "ms" in line.facts else None
            said.append(Moment(line.at, "lock", _LOCK[line.event].format(**line.facts), took))
            if line.event == "journal.receipted":
                break
    return said


def _beyond(world: World, tap: Tap) -> list[Moment]:
    said = []
    for at, facts in world.edge_events("record.stored"):
        if at >= tap.began:
            said.append(
                Moment(
                    at, "edge", f"over BLE: sealed record {facts['counter']} in the outbox, durable, unreadable here"
                )
            )
    for message in world.wiretap.heard:
        leaf = message.topic.rsplit("/", 1)[1]
        if message.at < tap.began or leaf not in ("up", "receipt"):
            continue
        what = "batch on its way" if leaf == "up" else "signed receipt on its way back"
        said.append(Moment(message.at, "MQTT", f"{what}: {message.topic}, {len(message.payload)} bytes"))
    for at in world.commits:
        if at >= tap.began:
            said.append(Moment(at, "province", "verified, opened, checked against profile CN, [bold]committed[/bold]"))
    for at, facts in world.edge_events("receipt.accepted"):
        if at >= tap.began:
            said.append(Moment(at, "edge", f"receipt verified: {facts['forgotten']} record forgotten"))
    return said


def table(said: list[Moment]) -> Table:
    """Moments as a table, with a bar as long as each took."""
    start = said[0].at
    longest = max([moment.took or 0 for moment in said] + [1])
    result = Table(show_edge=False, header_style="dim", pad_edge=True)
    result.add_column("ms", justify="right", no_wrap=True)
    result.add_column("who", no_wrap=True)
    result.add_column("what", ratio=1)
    result.add_column("took", justify="right", no_wrap=True)
    result.add_column("", no_wrap=True, min_width=_BAR)
    for moment in said:
        colour = _COLOURS[moment.who]
        took = "" if moment.took is None else f"{moment.took:.0f} ms"
        bar = "" if moment.took is None else "█" * max(1, round(_BAR * moment.took / longest))
        result.add_row(
            f"{(moment.at - start) * 1000:.0f}",
            f"[{colour}]{moment.who}[/{colour}]",
            moment.what,
            took,
            f"[{colour}]{bar}[/{colour}]",
        )
    return result


def _record(world: World) -> Record:
    raw = world.province.store.record_bytes(world.lock_id, 1)
    assert raw is not None
    return record.parse(raw)


def views(world: World, tap: Tap, guest: Visitor) -> Table:
    """The same record as lock, edge and province see it."""
    made = _record(world)
    fields = world.province.registrations()[0].fields
    result = Table(title="the same record, three times", title_justify="left", title_style="bold", show_lines=True)
    result.add_column("at the lock (flash) ", ratio=1)
    result.add_column("at the edge (outbox)", ratio=1)
    result.add_column("at the province", ratio=1)
    hexed = made.raw.hex()
    lock = "\n".join(hexed[at : at + 32] for at in range(0, 160, 32)) + f"\n… {len(made.raw)} bytes, hash-chained"
    edge = (
        f"lock id   {made.lock_id.hex()[:16]}…\ncounter   {made.counter}\nprevious  {made.previous.hex()[:16]}…\n"
        f"sealed    {len(made.sealed)} bytes that only\n          the province can open"
    )
    province = "\n".join(f"{name:<12}{escape(text)}" for name, text in sorted(fields.items()))
    result.add_row(f"[cyan]{lock}[/cyan]", f"[blue]{edge}[/blue]", f"[green]{province}[/green]")
    return result


def knowledge(world: World, tap: Tap, guest: Visitor) -> Table:
    """Who could read what, searched for just now."""
    exposed = world.exposed()
    needles = world.search().size
    heard = sum(len(message.payload) for message in world.wiretap.heard)
    at_rest = sum(path.stat().st_size for path in (world.folder / "edge").rglob("*") if path.is_file())
    hits = "[red]found: " + escape(", ".join(exposed)) + "[/red]" if exposed else "0 hits"
    result = Table(title="who could read what", title_justify="left", title_style="bold", show_edge=False)
    result.add_column("party")
    result.add_column("could read")
    result.add_column("could not read")
    result.add_column(f"searched for {needles} forms of guests' data")
    result.add_row("phone", "everything: it is the guest's", "", "")
    result.add_row(
        "lock, in RAM", "the elements asked for, for the length of the tap", "the portrait: never asked for", ""
    )
    result.add_row(
        "lock, in flash",
        "counter, hashes, grants, guests as keyed hashes",
        "name, birth date, document number",
        f"768 KiB: {hits}",
    )
    result.add_row(
        "edge agent",
        "lock id, counter, sizes, times of day",
        "who, which document, check-in or entry",
        f"{at_rest // 1024} KiB: {hits}",
    )
    result.add_row("broker", "the same as the edge agent", "the same as the edge agent", f"{heard} bytes: {hits}")
    result.add_row("platform", "its own booking", "that the guest arrived, and with which document", "hears nothing")
    result.add_row("province", "the registration, complete", "nothing more, and it cannot open the door", "")
    return result
