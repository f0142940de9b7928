"""The timeline of a tap, made from the reports of all parties, in the order of cause and effect.

Each party reports over its own channel, and some channels are slower than others. So reports do not always arrive in
the order of the events. Therefore each moment names its causes. The lock's moments are ordered by the lock's ticks. The
moments of the lock's pins and flash are ordered by the numbers that the board gives them. For other parties, only the
arrival of the report is known. The arrival is the latest possible time of the moment. The time of an effect may show
that the moment was earlier.

While a tap goes on, the timeline has the moments that are reported so far. Later reports add moments, and may also show
that a moment was earlier.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rich.table import Table
from rich.text import Text

from sim.board.openings import Durable
from sim.door import Door
from sim.edge import Edge
from sim.lines import Lines
from sim.lock_console import ConsoleLine
from sim.meanings import reason
from sim.shown import LIGHTS, signals
from sim.site import Site
from sim.tap import Tap
from sim.words import Phrase, phrase

WHO = {
    "phone": phrase("phone"),
    "lock": phrase("lock"),
    "edge": phrase("edge"),
    "MQTT": phrase("MQTT"),
    "province": phrase("province"),
}
"""The name that people use for each party. The key is the value of `Moment.who`."""
_COLOURS = {"phone": "yellow", "lock": "cyan", "edge": "blue", "MQTT": "magenta", "province": "green"}
_STYLES = {"opened": "bold green", "committed": "bold", "journal.receipted 1": "bold"}
"""The moments that stand out, by name."""


@dataclass
class Moment:
    """One line of the timeline.

    `at` is the monotonic time in seconds at the end of the moment. `took` is the length of the moment in milliseconds,
    if known. `after` has the names of the moments that caused this one.
    """

    name: str
    at: float
    who: str
    what: Phrase
    took: float | None = None
    after: list[str] = field(default_factory=list)


def moments(site: Site, door: Door, tap: Tap) -> list[Moment]:
    """Return the moments of `tap` so far, from the phone's arrival to the receipt or the refusal.

    Causes precede effects.
    """
    durable = _durable(door, tap)
    return in_order([*_phone(tap), *_lock(door, tap, durable), *_beyond(site, door, tap, durable)])


def counter(door: Door, tap: Tap) -> int | None:
    """Return the counter of the record of the opening by `tap`, or None if there is no such record yet."""
    durable = _durable(door, tap)
    return None if durable is None else durable.counter


def complete(said: list[Moment]) -> bool:
    """Are all moments of an answered tap there? The last moment of an opening is the receipt at the lock."""
    names = {moment.name for moment in said}
    return "durable" not in names or "journal.receipted 1" in names


def _durable(door: Door, tap: Tap) -> Durable | None:
    return next((opening.durable for opening in door.findings.opened() if opening.moved is tap.moved), None)


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


_PORTRAIT = {True: phrase("with a portrait"), False: phrase("no portrait")}


def _phone(tap: Tap) -> list[Moment]:
    said = []
    requests = answers = 0
    for event in tap.outcome.events:
        at = tap.began + event.seconds
        if event.name == "tap":
            said.append(Moment("phone.tap", at, "phone", phrase("held to the lock")))
        elif event.name == "asked":
            requests += 1
            what = phrase(
                "verifies who asks: {reader}, for {kinds:kind} of document",
                reader=tap.outcome.reader,
                kinds=len(tap.outcome.requests[requests - 1]),
            )
            said.append(Moment(f"phone.asked {requests}", at, "phone", what, after=[f"mdoc.session {requests}"]))
        elif event.name in ("presented", "refused"):
            answers += 1
            what = phrase("answers that it has none of these")
            if event.name == "presented":
                names = [name for spaces in tap.outcome.shared.values() for names in spaces.values() for name in names]
                what = phrase(
                    "agrees, and signs for this session alone: {elements:element}, {portrait}",
                    elements=len(names),
                    portrait=_PORTRAIT[any("portrait" in name for name in names)],
                )
            said.append(Moment(f"phone.answered {answers}", at, "phone", what))
        elif event.name == "recognized":
            what = phrase("proves that it has a stay key of this door")
            said.append(Moment("phone.recognized", at, "phone", what, after=["stay-key.tried 1"]))
        elif event.name == "removed" and tap.outcome.result == "unfinished":
            said.append(Moment("phone.removed", at, "phone", phrase("taken away before the end")))
    return _chained(said)


# --- the lock --------------------------------------------------------------------------------------------------------

_LOCK = {
    "tap.start": phrase("somebody types at the keypad"),
    "stay-key.tried": phrase("this phone was here before: it is asked for its stay key"),
    "ble.waiting": phrase("waits for the phone over BLE"),
    "ble.started": phrase("the phone is connected over BLE"),
    "nfc.engaged": phrase("NFC engagement: static handover read, {apdus} APDUs"),
    "mdoc.session 1": phrase(
        "keys agreed (ECDH, AES-256-GCM); request signed with the door's reader key, {bytes} bytes"
    ),
    "mdoc.session": phrase("the next request in this session, signed alike, {bytes} bytes"),
    "mdoc.response": phrase("response received and decrypted, {bytes} bytes"),
    "mdoc.verified": phrase("verified: issuer's chain, signature, digests, validity, device authentication"),
    "door.decided": phrase("decided: a grant names this guest, the stay has begun"),
    "record.sealed": phrase("record sealed to the province (HPKE), signed by the lock, {bytes} bytes"),
    "tap.refused": phrase("the door stays shut: {reason} ({code})"),
    "tap.failed": phrase("the door stays shut, because of a defect: {error}"),
    "journal.receipted": phrase("journal trimmed: the province has it, by its signature"),
}
_AFTER = {
    "nfc.engaged": "phone.tap",
    "stay-key.tried": "phone.tap",
    "mdoc.response": "phone.answered {}",
    "door.decided": "phone.recognized",
    "journal.receipted": "edge.accepted",
}


def _lock(door: Door, tap: Tap, durable: Durable | None) -> list[Moment]:
    found: list[tuple[int, int, Moment]] = []  # within a tick, lines of the console come first
    for line, turn in _told(door, tap, durable):
        took = float(line.facts["ms"]) if "ms" in line.facts else None
        cause = [_AFTER[line.event].format(turn)] if line.event in _AFTER else []
        name = f"{line.event} {turn}"
        facts: dict[str, Any] = {**line.facts, "reason": reason(line.facts.get("code", ""))}
        what = _LOCK.get(name, _LOCK[line.event]).of(**facts)
        found.append((line.ticks, 0, Moment(name, 0, "lock", what, took, cause)))
    if durable is not None:
        if durable.counter is None:
            name, what = "counted", phrase("journal: entry counted in flash")
        else:
            name = "durable"
            what = phrase("journal: record {counter} durable in flash", counter=durable.counter)
        took = tap.milliseconds("journal.durable")
        found.append((durable.event.ticks, 1, Moment(name, 0, "lock", what, took)))
    if tap.moved is not None:
        heard = signals([e for e in door.bus.history if e.boot == tap.moved.boot and e.number > tap.moved.number])
        what = phrase("the strike opens: {signal}", signal=LIGHTS[heard[0].colour] if heard else phrase("no tone"))
        # The board's numbers show that the strike opened after the record became durable. Without a record, place the
        # opening first within its tick.
        place = 2 if durable is not None else 0
        found.append((tap.moved.ticks, place, Moment("opened", 0, "lock", what)))
    found.sort(key=lambda one: one[:2])
    for ticks, _, moment in found:
        moment.at = door.findings.moment(ticks)
    return _chained([moment for _, _, moment in found])


def _told(door: Door, tap: Tap, durable: Durable | None) -> list[tuple[ConsoleLine, int]]:
    """Return the console lines of this tap that the timeline shows, each with a number. The number says how many lines
    with the same event there were up to this line.
    """
    told: list[tuple[ConsoleLine, int]] = []
    if not tap.console:
        return told
    turns: dict[str, int] = {}
    for line in door.lock.console[door.lock.console.index(tap.console[0]) :]:
        turns[line.event] = turns.get(line.event, 0) + 1
        if line.event == "journal.receipted":
            if durable is not None and durable.counter and int(line.facts["through"]) >= durable.counter:
                return [*told, (line, 1)]
        elif line.event in _LOCK and turns.get("tap.start", 0) < 2 and _matters(line, tap):
            told.append((line, turns[line.event]))
    return told


def _matters(line: ConsoleLine, tap: Tap) -> bool:
    """Is this line a moment of the tap? The start is a moment only if there was no phone, because the arrival of a
    phone is a moment of its own.
    """
    if line.event == "tap.start":
        return not tap.outcome.events
    return line.event != "stay-key.tried" or line.facts["known"] == "1"


# --- beyond the door -------------------------------------------------------------------------------------------------


def _beyond(site: Site, door: Door, tap: Tap, durable: Durable | None) -> list[Moment]:
    """Return the moments that happen to the record after it has left the door."""
    if durable is None or durable.counter is None:
        return []
    counter, said = durable.counter, []
    committed = next((at for at, through in site.commits if through.get(door.lock_id, 0) >= counter), None)
    for at, facts, edge in _edges(site, "record.stored"):
        if facts["counter"] == counter and facts["lock"] == door.lock_id.hex():
            what = phrase("over BLE: sealed record {counter} in the outbox, durable, unreadable here", counter=counter)
            said.append(Moment("edge.stored", at, "edge", what, after=["durable"]))
            said += _outage(edge, at, committed)
            break
    carried = [(moment.at, moment.name) for moment in said]

    def before(then: float) -> list[str]:
        """Return the names of the edge agent's moments that caused a moment at the time `then`. An outage that began
        after `then` caused nothing.
        """
        return [name for at, name in carried if name == "edge.stored" or at <= then]

    made = site.province.store.record_bytes(door.lock_id, counter)
    heard = [message for message in site.wiretap.heard if message.at >= tap.began]
    for message in heard:
        if made is not None and made in message.payload:
            size = len(message.payload)
            what = phrase("batch on its way: {topic}, {size:byte}", topic=message.topic, size=size)
            said.append(Moment("up", message.at, "MQTT", what, after=before(message.at)))
            break
    if committed is not None:
        what = phrase("verified, opened, checked against the profile, committed")
        said.append(Moment("committed", committed, "province", what, after=["up", *before(committed)]))
    newest = site.province.store.receipt(door.lock_id)
    throughs = range(counter, 0 if newest is None else newest[0] + 1)
    receipts = [found[1] for through in throughs if (found := site.province.store.receipt(door.lock_id, through))]
    for message in heard:
        if any(signed in message.payload for signed in receipts):
            size = len(message.payload)
            what = phrase("signed receipt on its way back: {topic}, {size:byte}", topic=message.topic, size=size)
            said.append(Moment("receipt", message.at, "MQTT", what, after=["committed"]))
            break
    for at, facts, _ in _edges(site, "receipt.accepted"):
        if facts["lock"] == door.lock_id.hex() and int(facts["through"]) >= counter:
            what = phrase("receipt verified: {records:record} forgotten", records=int(facts["forgotten"]))
            said.append(Moment("edge.accepted", at, "edge", what, after=["receipt", "committed"]))
            break
    return said


def _outage(edge: Edge, stored: float, committed: float | None) -> list[Moment]:
    """Return the beginning and the end of the last outage in the time from `stored` to `committed`. If `committed` is
    None, this time is not over yet.
    """
    lost: float | None = None
    found: list[Moment] = []
    for at, facts in edge.said:
        if committed is not None and at > committed:
            break
        if facts["event"] == "broker.lost" and lost is None:
            lost = at
            what = phrase("the network is down: the record waits here, on disk")
            found = [Moment("edge.waits", max(stored, at), "edge", what, after=["edge.stored"])]
        elif facts["event"] == "broker.connected" and lost is not None:
            lost = None
            back = Moment("edge.back", at, "edge", phrase("the network is back"), after=["edge.waits"])
            found = [*found, back] if at > stored else []
    return found


def _edges(site: Site, event: str) -> list[tuple[float, dict[str, Any], Edge]]:
    """Collect from all edge agents the log lines with this event. Return each line with its agent, oldest first."""
    return sorted(((*one, edge) for edge in site.edges for one in edge.events(event)), key=lambda one: one[0])


def table(said: list[Moment], language: str = "en") -> Table:
    """Return the moments as a table, in `language`."""
    start = said[0].at
    result = Table(show_edge=False, header_style="dim", pad_edge=True)
    result.add_column(phrase("ms").said(language), justify="right", no_wrap=True, min_width=5)
    result.add_column(phrase("who").said(language), no_wrap=True)
    result.add_column(phrase("what").said(language), ratio=1)
    result.add_column(phrase("took").said(language), justify="right", no_wrap=True, min_width=8)
    for moment in said:
        colour = _COLOURS[moment.who]
        who = Text(WHO[moment.who].said(language), colour)
        what = Lines(moment.what.said(language), _STYLES.get(moment.name, ""))
        took = "" if moment.took is None else phrase("{ms:.0f} ms", ms=moment.took).said(language)
        result.add_row(f"{(moment.at - start) * 1000:.0f}", who, what, took)
    return result
