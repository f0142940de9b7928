"""The stage shows the page's own site. While a story plays, the stage shows the site of that story instead."""

from collections.abc import AsyncIterator, Iterator, Mapping
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


def plan(doors: int, threads: bool = False) -> Plan:
    """Return the plan of the page's own site: `doors` doors of one listing, each with an edge agent of its own."""
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
        """The acts that are going on, by number."""

    def parties(self, door: str, counter: int) -> list[dict[str, Any]]:
        """Return what each party could read of a record at the site that is shown. Raises the errors of
        `Watch.parties`.
        """
        return self._watch.parties(door, counter)

    async def play(self, name: str) -> None:
        """Play a story on a site of its own, which is shown until the story is over.

        Raises ConfigError if this machine cannot run it.
        """
        self._tell_story(name, "playing", None, [])
        promises: list[Promise] = []

        @contextmanager
        def shown(script: Script) -> Iterator[None]:
            nonlocal promises
            promises = script.promises

            def told() -> None:
                if self._story is not None and len(self._story["promises"]) != len(promises):
                    self._tell_story(name, "playing", None, promises)

            self._show(Watch(script.site, self.stream.publish, on_look=told))
            try:
                yield
            finally:
                self._show(self._own)

        ok: bool | None = None
        try:
            ok = (await perform(playable()[name], runtime=self._runtime, around=shown)).ok
        finally:
            self._tell_story(name, "over", bool(ok), promises)

    def tell_act(self, told: dict[str, Any]) -> None:
        """Publish that an act began or ended. A page that comes in between is told that the act is going on."""
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

    def _tell_story(self, name: str, state: str, ok: bool | None, promises: list[Promise]) -> None:
        self._story = {
            "name": name,
            "state": state,
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
                    "listing": door.bookings.listing,
                    "room": ROOM,
                    "lock": door.lock_id.hex(),
                    "edge": next((edge.name for edge in site.edges if door.address in edge.addresses), None),
                }
                for door in site.doors
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
async def stage(folder: Path, runtime: str, doors: int, language: str) -> AsyncIterator[Stage]:
    """Build the page's own site in `folder`, with its people."""
    async with build(folder, _SEED, runtime, plan(doors)) as site:
        yield Stage(site, await arrive(site), runtime, language)
