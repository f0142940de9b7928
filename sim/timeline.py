"""The timeline of a check-in, made from the reports of all parties, in the order of cause and effect.

Each party reports over its own channel, and some channels are slower than others. So reports do not always arrive in
the order of the events. Therefore each moment names its causes. The lock's moments are ordered by the lock's ticks.
The moments of its pins and its flash are ordered by the numbers that the board gives them. For other parties, only the
arrival of the report is known. The arrival is the latest possible time of the moment. The time of an effect may show
that the moment was earlier.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_agent.counted import counted
from sim.board.openings import Durable, openings
from sim.door import Door
from sim.lock_console import ConsoleLine
from sim.shown import signals
from sim.site import Site
from sim.tap import Tap

_COLOURS = {"phone": "yellow", "lock": "cyan", "edge": "blue", "MQTT": "magenta", "province": "green"}


@dataclass
class Moment:
    """One line of the timeline.

    `at` is the monotonic time in seconds at the end of the moment. `took` is the length of the moment in milliseconds,
    if known. `after` has the names of the moments that caused this one.
    """

    name: str
    at: float
    who: str
    what: str
    took: float | None = None
    after: list[str] = field(default_factory=list)


def moments(site: Site, door: Door, tap: Tap) -> list[Moment]:
    """Return the moments of an opening by `tap`, from the phone's arrival to the receipt. Causes precede effects."""
    durable = next((o.durable for o in openings(door.bus.history) if o.moved is tap.moved), None)
    return in_order([*_phone(tap), *_lock(door, tap, durable), *_beyond(site, door, durable)])


def in_order(said: list[Moment]) -> list[Moment]:
    """Return the moments in an order in which each moment comes after its causes.

    No moment has an earlier time than its causes. Moments that did not cause each other are ordered by time. Causes
    that are not among the moments are ignored.
    """
    by_name = {moment.name: moment for moment in said}
    causes = {moment.name: [by_name[name] for name in moment.after if name in by_name] for moment in said}
    depth = dict.fromkeys(by_name, 0)
    for _ in said:  # no chain of causes is longer than the number of moments
        for moment in said:
            for cause in causes[moment.name]:
                cause.at = min(cause.at, moment.at)
                depth[moment.name] = max(depth[moment.name], depth[cause.name] + 1)
    return sorted(said, key=lambda moment: (moment.at, depth[moment.name]))


def _chained(said: list[Moment]) -> list[Moment]:
    """Make each moment the cause of the next one. The moments are of one party, in the order in which they happened."""
    for earlier, later in pairwise(said):
        later.after.append(earlier.name)
    return said


# --- the phone -------------------------------------------------------------------------------------------------------


def _phone(tap: Tap) -> list[Moment]:
    said = []
    requests = answers = 0
    for event in tap.outcome.events:
        at = tap.began + event.seconds
        if event.name == "tap":
            said.append(Moment("phone.tap", at, "phone", "held to the lock"))
        elif event.name == "asked":
            requests += 1
            kinds = counted(len(tap.outcome.requests[requests - 1]), "kind")
            what = f"verifies who asks: {escape(str(tap.outcome.reader))}, for {kinds} of document"
            said.append(Moment(f"phone.asked {requests}", at, "phone", what, after=[f"mdoc.session {requests}"]))
        elif event.name in ("presented", "refused"):
            answers += 1
            what = "answers that it has none of these"
            if event.name == "presented":
                names = [name for spaces in tap.outcome.shared.values() for names in spaces.values() for name in names]
                portrait = "with a portrait" if any("portrait" in name for name in names) else "no portrait"
                what = f"agrees, and signs for this session alone: {counted(len(names), 'element')}, {portrait}"
            said.append(Moment(f"phone.answered {answers}", at, "phone", what))
    return _chained(said)


# --- the lock --------------------------------------------------------------------------------------------------------

_LOCK = {
    "nfc.engaged": "NFC engagement: static handover read, {apdus} APDUs",
    "mdoc.session 1": "keys agreed (ECDH, AES-256-GCM); request signed with the door's reader key, {bytes} bytes",
    "mdoc.session": "the next request in this session, signed alike, {bytes} bytes",
    "mdoc.response": "response received and decrypted, {bytes} bytes",
    "mdoc.verified": "verified: issuer's chain, signature, digests, validity, device authentication",
    "door.decided": "decided: a grant names this guest, the stay has begun",
    "record.sealed": "record sealed to the province (HPKE), signed by the lock, {bytes} bytes",
    "journal.receipted": "[bold]journal trimmed[/bold]: the province has it, by its signature",
}
_AFTER = {"nfc.engaged": "phone.tap", "mdoc.response": "phone.answered {}", "journal.receipted": "edge.accepted"}


def _lock(door: Door, tap: Tap, durable: Durable | None) -> list[Moment]:
    found: list[tuple[int, int, Moment]] = []  # within a tick, lines of the console come first
    for line, turn in _told(door, tap, durable):
        took = float(line.facts["ms"]) if "ms" in line.facts else None
        cause = [_AFTER[line.event].format(turn)] if line.event in _AFTER else []
        name = f"{line.event} {turn}"
        what = _LOCK.get(name, _LOCK[line.event]).format(**line.facts)
        found.append((line.ticks, 0, Moment(name, 0, "lock", what, took, cause)))
    if durable is not None:
        what = "entry counted in flash" if durable.counter is None else f"record {durable.counter} durable in flash"
        took = tap.milliseconds("journal.durable")
        found.append((durable.event.ticks, 1, Moment("durable", 0, "lock", "journal: " + what, took)))
    if tap.moved is not None:
        heard = signals([e for e in door.bus.history if e.boot == tap.moved.boot and e.number > tap.moved.number])
        what = f"[bold green]the strike opens[/bold green]: {heard[0] if heard else 'no tone'}"
        # The board's numbers show that the strike opened after the record became durable. Without a record, place the
        # opening first within its tick.
        place = 2 if durable is not None else 0
        found.append((tap.moved.ticks, place, Moment("opened", 0, "lock", what)))
    found.sort(key=lambda one: one[:2])
    for ticks, _, moment in found:
        moment.at = door.findings.moment(ticks)
    return _chained([moment for _, _, moment in found])


def _told(door: Door, tap: Tap, durable: Durable | None) -> list[tuple[ConsoleLine, int]]:
    """Return the console lines of this tap that the timeline shows.

    The number beside each line says how many lines with the same event there were up to this line.
    """
    told: list[tuple[ConsoleLine, int]] = []
    turns: dict[str, int] = {}
    for line in door.lock.console[door.lock.console.index(tap.console[0]) :]:
        turns[line.event] = turns.get(line.event, 0) + 1
        if line.event == "journal.receipted":
            if durable is not None and int(line.facts["through"]) >= (durable.counter or 0):
                return [*told, (line, 1)]
        elif line.event in _LOCK and turns.get("tap.start", 0) < 2:
            told.append((line, turns[line.event]))
    return told


# --- beyond the door -------------------------------------------------------------------------------------------------


def _beyond(site: Site, door: Door, durable: Durable | None) -> list[Moment]:
    """Return the moments of the record after it left the door."""
    if durable is None or durable.counter is None:
        return []
    counter, said = durable.counter, []
    for at, facts in _edges(site, "record.stored"):
        if facts["counter"] == counter and facts["lock"] == door.lock_id.hex():
            what = f"over BLE: sealed record {counter} in the outbox, durable, unreadable here"
            said.append(Moment("edge.stored", at, "edge", what, after=["durable"]))
            break
    made = site.province.store.record_bytes(door.lock_id, counter)
    for message in site.wiretap.heard:
        if made is not None and made in message.payload:
            what = f"batch on its way: {message.topic}, {counted(len(message.payload), 'byte')}"
            said.append(Moment("up", message.at, "MQTT", what, after=["edge.stored"]))
            break
    for at, through in site.commits:
        if through.get(door.lock_id, 0) >= counter:
            what = "verified, opened, checked against the profile, [bold]committed[/bold]"
            said.append(Moment("committed", at, "province", what, after=["up"]))
            break
    newest = site.province.store.receipt(door.lock_id)
    throughs = range(counter, 0 if newest is None else newest[0] + 1)
    receipts = [found[1] for through in throughs if (found := site.province.store.receipt(door.lock_id, through))]
    for message in site.wiretap.heard:
        if any(signed in message.payload for signed in receipts):
            what = f"signed receipt on its way back: {message.topic}, {counted(len(message.payload), 'byte')}"
            said.append(Moment("receipt", message.at, "MQTT", what, after=["committed"]))
            break
    for at, facts in _edges(site, "receipt.accepted"):
        if facts["lock"] == door.lock_id.hex() and int(facts["through"]) >= counter:
            what = f"receipt verified: {counted(int(facts['forgotten']), 'record')} forgotten"
            said.append(Moment("edge.accepted", at, "edge", what, after=["receipt"]))
            break
    return said


def _edges(site: Site, event: str) -> list[tuple[float, dict[str, Any]]]:
    """Return the log lines of all edge agents with this event, oldest first."""
    return sorted((one for edge in site.edges for one in edge.events(event)), key=lambda one: one[0])


def table(said: list[Moment]) -> Table:
    """Return the moments as a table."""
    start = said[0].at
    result = Table(show_edge=False, header_style="dim", pad_edge=True)
    result.add_column("ms", justify="right", no_wrap=True, min_width=5)
    result.add_column("who", no_wrap=True)
    result.add_column("what", ratio=1, overflow="fold")
    result.add_column("took", justify="right", no_wrap=True, min_width=8)
    for moment in said:
        colour = _COLOURS[moment.who]
        took = "" if moment.took is None else f"{moment.took:.0f} ms"
        result.add_row(f"{(moment.at - start) * 1000:.0f}", f"[{colour}]{moment.who}[/{colour}]", moment.what, took)
    return result
