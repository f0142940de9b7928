"""Tells what happens at a site, as messages for the page. The site is checked each time its bell rings, but only while
a browser is connected.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from sim import timeline
from sim.door import Door
from sim.live.panel import Face, Panel
from sim.live.parties import parties
from sim.live.refusal import RequestRefusedError
from sim.live.stores import JournalReports, stores
from sim.live.stream import Told
from sim.live.texts import both
from sim.meanings import reason
from sim.site import Site
from sim.tap import Tap
from sim.timeline import Moment

TAPS = 20
"""For each door, this number of taps is kept, and is told to a new browser."""


class _DoorWatch:
    """What browsers have been told about one door so far."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.panel = Panel(door)
        self.journal = JournalReports()
        self.taps: dict[int, dict[str, Any]] = {}
        """The last message of each tap, by the tap's number. Of the taps that are over, only the newest are kept."""
        self.over: set[int] = set()
        """Numbers of the taps that are over. Nothing about these taps can change any more."""
        self.stores: dict[str, Any] | None = None
        self.seen: tuple[int, ...] = ()
        self.board: Told | None = None


class Watch:
    """After `attend(True)`, watches `site` and gives each change to `publish`. `attend(False)` ends this. `people` maps
    the name of each known person to the person's id.

    `on_look` is called each time that the site is checked.
    """

    def __init__(
        self,
        site: Site,
        publish: Callable[[str, Any], None],
        people: Mapping[str, str] | None = None,
        on_look: Callable[[], None] | None = None,
    ) -> None:
        self.site = site
        self._publish = publish
        self._people = people or {}
        self._on_look = on_look
        self._began = time.monotonic()
        self._doors = [_DoorWatch(door) for door in site.doors]
        self._network: bool | None = None
        self._loop = asyncio.get_running_loop()
        self._due = False
        self._attended = False
        self._listening = ExitStack()

    def attend(self, attended: bool) -> None:
        """Begin or end to watch."""
        self._listening.close()
        self._attended = attended
        if attended:
            self.look()
            self._listening.enter_context(self.site.bell.heard_by(self._rung))

    def state(self) -> list[Told]:
        """Return the messages that tell how everything is now."""
        self.look()
        told: list[Told] = [("network", {"up": bool(self._network)})]
        for watch in self._doors:
            told.append(self._board(watch, time.monotonic(), watch.panel.face))
            told += [("tap", tap) for tap in list(watch.taps.values())[-TAPS:]]
            if watch.stores is not None:
                told.append(("stores", watch.stores))
        return told

    def parties(self, door: str, counter: int) -> list[dict[str, Any]]:
        """Return what each party could read of a record. Raises RequestRefusedError `live.door` or `live.record`."""
        watch = next((watch for watch in self._doors if watch.door.name == door), None)
        if watch is None:
            raise RequestRefusedError(404, "live.door", "there is no such door at this site. Name one of its doors")
        return parties(self.site, watch.door, watch.journal, counter)

    def _rung(self) -> None:
        if not self._due:  # many rings lead to only one check of the site
            self._due = True
            with suppress(RuntimeError):  # a client of the broker may ring while the site is shut down
                self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._due = False
        if self._attended:  # another site may be shown by now, and its doors have the same names
            self.look()

    def look(self) -> None:
        """Publish what has changed since the last check of the site."""
        if self._on_look is not None:
            self._on_look()
        if self._network != self.site.broker.running:
            self._network = self.site.broker.running
            self._publish("network", {"up": self._network})
        beyond = (
            len(self.site.wiretap.heard),
            len(self.site.commits),
            *(len(edge.said) for edge in self.site.edges),
        )
        for watch in self._doors:
            for at, face in watch.panel.read():
                self._publish(*self._board(watch, at, face))
            self._look_at_taps(watch)
            seen = (len(watch.door.lock.console), *beyond)
            if seen != watch.seen:
                watch.seen = seen
                now = stores(self.site, watch.door, watch.journal)
                if now != watch.stores:
                    watch.stores = now
                    self._publish("stores", now)

    def _board(self, watch: _DoorWatch, at: float, face: Face) -> Told:
        return "board", {
            "door": watch.door.name,
            "at": self._ms(at),
            "power": face.power,
            "lamp": face.lamp,
            "tone": face.tone,
            "strike": face.strike,
            "contact": face.contact,
            "pattern": face.pattern,
            "tag": face.tag,
        }

    # --- taps --------------------------------------------------------------------------------------------------------

    def _look_at_taps(self, watch: _DoorWatch) -> None:
        ended = [(tap, True) for tap in watch.door.taps if tap.number not in watch.over]
        for tap, answered in ended + [(tap, False) for tap in watch.door.going_on()]:
            told = self._tap(watch.door, tap, answered)
            if told is not None and told != watch.taps.get(tap.number):
                watch.taps[tap.number] = told
                self._publish("tap", told)
                if told["over"]:
                    watch.over.add(tap.number)
        for number in [number for number in sorted(watch.taps) if number in watch.over][:-TAPS]:
            del watch.taps[number]

    def _tap(self, door: Door, tap: Tap, answered: bool) -> dict[str, Any] | None:
        said = timeline.moments(self.site, door, tap)
        if not said and not answered:
            return None
        began = said[0].at if said else tap.began
        return {
            "tap": self.site.doors.index(door) * 1_000_000 + tap.number,
            "door": door.name,
            "number": tap.number,
            "counter": timeline.counter(door, tap),
            "who": both(tap.who),
            "person": self._people.get(str(tap.who)),
            "began": self._ms(began),
            "over": answered and timeline.complete(said),
            "outcome": _outcome(tap, answered),
            "code": tap.refusal,
            "reason": None if tap.refusal is None else both(reason(tap.refusal)),
            "moments": [self._moment(moment) for moment in said],
        }

    def _moment(self, moment: Moment) -> dict[str, Any]:
        return {
            "id": moment.name,
            "at": self._ms(moment.at),
            "who": moment.who,
            "name": moment.name.partition(" ")[0],
            "text": both(moment.what),
            "took": moment.took,
            "after": moment.after,
        }

    def _ms(self, at: float) -> float:
        return round((at - self._began) * 1000, 3)


def _outcome(tap: Tap, answered: bool) -> str | None:
    if tap.opened:
        return "opened"
    if tap.refusal is not None:
        return "refused"
    return "unfinished" if answered else None
