"""The stage shows the page's own site. While a story plays, the stage shows the site of that story instead."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from protocol import VERSION
from protocol.fittings import Fittings
from sim import issuer
from sim.live import tour
from sim.live.guests import Guest, arrive
from sim.live.stream import Stream, Told
from sim.live.texts import both
from sim.live.watch import Watch
from sim.scenarios import Story, perform, stories
from sim.scenarios.story import Promise, Script
from sim.signs import signs
from sim.site import ROOM, Plan, Site, build
from sim.visitors import Visitor
from sim.words import Phrase, phrase

_SEED = 7


def now_ms() -> int:
    """Return this machine's time in milliseconds since 1970. The browser runs on this machine and has the same time."""
    return int(time.time() * 1000)


def plan(doors: int, threads: bool = False) -> Plan:
    """Return the plan of the page's own site. The number of its doors is `doors`. All doors belong to one listing, and
    each has its own edge agent.
    """
    return Plan(
        doors=doors,
        edges=[(number,) for number in range(1, doors + 1)],
        fittings=Fittings(inputs=("contact",)),
        threads=threads,
    )


def playable() -> dict[str, Story]:
    """Return every story that can be played, by name. The tour comes first."""
    return {tour.TOUR.name: tour.TOUR, **stories}


class Stage:
    """What browsers see: a site, its people, and the story that is playing or was played last."""

    def __init__(self, site: Site, guests: list[Guest], runtime: str, language: str) -> None:
        self.site = site
        self.guests = guests
        self.stream = Stream(self._state, self._attend)
        self._runtime, self._language = runtime, language
        self._own = Watch(site, self.stream.publish, {guest.visitor.name: guest.id for guest in guests})
        self._watch = self._own
        self._story: dict[str, Any] | None = None
        self._acts: dict[int, dict[str, Any]] = {}
        """Maps numbers to the acts that are going on."""

    def parties(self, door: str, counter: int) -> list[dict[str, Any]]:
        """Return what each party could read of a record at the site that is shown. Raises the errors of
        `Watch.parties`.
        """
        return self._watch.parties(door, counter)

    async def play(self, name: str) -> None:
        """Play a story on a site of its own, which is shown until the story is over.

        The page is told each step while the site is built. Raises ConfigError if this machine cannot run the story.
        """
        promises: list[Promise] = []

        def step(what: Phrase) -> None:
            if self._story is not None and self._story["state"] == "building":  # else: taps, promises
                self._tell_story(name, "building", promises, step=what)

        @contextmanager
        def shown(script: Script) -> Iterator[None]:
            nonlocal promises
            promises = script.promises

            def told() -> None:
                if self._story is not None and len(self._story["promises"]) != len(promises):
                    self._tell_story(name, "playing", promises)

            self._tell_story(name, "playing", promises)
            self._show(Watch(script.site, self.stream.publish, on_look=told))
            try:
                yield
            finally:
                self._tell_story(name, "ending", promises)
                self._show(self._own)

        self._tell_story(name, "building", promises, step=phrase("loading the parts"))
        ok: bool | None = None
        try:
            ok = (await perform(playable()[name], runtime=self._runtime, on_step=step, around=shown)).ok
        finally:
            self._tell_story(name, "over", promises, ok=bool(ok))

    def tell_act(self, told: dict[str, Any]) -> None:
        """Publish that an act began or ended. A page that connects meanwhile is told that the act is going on."""
        if told["state"] == "began":
            self._acts[told["act"]] = told
        else:
            self._acts.pop(told["act"], None)
        self.stream.publish("act", told)

    def look(self) -> None:
        """Publish at once what has changed at the site."""
        if self.stream.attended:
            self._watch.look()

    def _show(self, watch: Watch) -> None:
        self._watch.attend(False)
        self._watch = watch
        if self.stream.attended:
            self.stream.publish("site", self._told())
            watch.attend(True)
            for kind, content in watch.state():
                self.stream.publish(kind, content)

    def _tell_story(
        self, name: str, state: str, promises: list[Promise], step: Phrase | None = None, ok: bool | None = None
    ) -> None:
        before = self._story
        # The seconds count from the beginning of the state. While the site is being built, the seconds count from the
        # beginning of each step.
        goes_on = before is not None and before["state"] == state and step is None
        self._story = {
            "name": name,
            "state": state,
            "step": None if step is None else both(step),
            "since": before["since"] if before is not None and goes_on else now_ms(),
            "ok": ok,
            "promises": [{"claim": both(promise.claim), "held": promise.held} for promise in promises],
        }
        self.stream.publish("story", self._story)

    def _attend(self, attended: bool) -> None:
        self._watch.attend(attended)

    def _state(self) -> list[Told]:
        story: list[Told] = [] if self._story is None else [("story", self._story)]
        acts: list[Told] = [("act", told) for told in self._acts.values()]
        return [("site", self._told()), *story, *acts, *self._watch.state()]

    def _told(self) -> dict[str, Any]:
        site = self._watch.site
        own = self._watch is self._own
        doors = [door.name for door in site.doors]
        return {
            "own": own,
            "doors": [
                {
                    "id": door.name,
                    "name": both(phrase("door {number}", number=number)),
                    "listing": door.bookings.listing,
                    "room": ROOM,
                    "lock": door.lock_id.hex(),
                    "edge": next((edge.name for edge in site.edges if door.address in edge.addresses), None),
                }
                for number, door in enumerate(site.doors, 1)
            ],
            "edges": [edge.name for edge in site.edges],
            "people": [
                {
                    "id": guest.id,
                    "name": guest.visitor.name,
                    "document": _document(guest.visitor),
                    "doors": doors,
                    "kind": guest.kind,
                }
                for guest in (self.guests if own else ())
            ],
            "stories": [{"name": story.name, "tells": both(Phrase(story.tells))} for story in playable().values()],
            "signals": {
                sign.name: {"lamp": [int(level) for level in sign.colour], "rhythm": sign.light} for sign in signs()
            },
            "network": site.broker.running,
            "lang": self._language,
            "version": VERSION,
        }


_DOCUMENTS = {issuer.MDL: phrase("driving licence"), issuer.RESIDENT_ID: phrase("resident e-ID")}


def _document(visitor: Visitor) -> Mapping[str, str]:
    return both(_DOCUMENTS[visitor.doc_type])


@asynccontextmanager
async def stage(
    folder: Path, runtime: str, doors: int, language: str, on_step: Callable[[Phrase], None] | None = None
) -> AsyncIterator[Stage]:
    """Build the page's own site in `folder`, with its people. `on_step` is called at each step of the building."""
    async with build(folder, _SEED, runtime, plan(doors), on_step) as site:
        site.tell_nobody()  # from here on, the page tells of each tap
        yield Stage(site, await arrive(site), runtime, language)
