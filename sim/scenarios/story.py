"""Defines, runs and evaluates scenarios."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError, MooringError
from protocol.record import CHECK_IN
from sim.board.interpreter import find
from sim.door import Door
from sim.edge import Edge
from sim.site import Plan, Site, build
from sim.tap import Tap
from sim.words import Phrase, phrase


@dataclass
class Promise:
    """One claim of a scenario, and whether the claim held."""

    claim: Phrase
    held: bool


@dataclass
class Script:
    """The tools and the state of a scenario: its site, its promises, and the seed of its random choices."""

    site: Site
    promises: list[Promise] = field(default_factory=list)
    seed: int = 1

    @property
    def door(self) -> Door:
        """The site's first door. Most scenarios have only one door."""
        return self.site.doors[0]

    @property
    def edge(self) -> Edge:
        """The site's first edge agent."""
        return self.site.edges[0]

    def promise(self, claim: str | Phrase, held: bool, **fields: Any) -> None:
        """Keep a claim, and whether the claim holds now. `claim` is a phrase, or the text of a phrase. If `claim` is a
        text, `fields` are the fields of the phrase.
        """
        said = claim if isinstance(claim, Phrase) else Phrase(claim, fields)
        self.promises.append(Promise(said, held))
        self.site.on_step(phrase("✓ {claim}" if held else "✗ {claim}", claim=said))
        self.site.bell.ring()

    def let_in(self, tap: Tap, claim: str, **fields: Any) -> None:
        """Promise that `tap` opened the door."""
        said = Phrase(claim, fields)
        self.promise(said if tap.opened else phrase("{claim} ({code})", claim=said, code=tap.refusal), tap.opened)

    def refused(self, tap: Tap, claim: str | Phrase, *codes: str, **fields: Any) -> None:
        """Promise that `tap` left the door shut, and that the refusal has one of `codes`."""
        said = claim if isinstance(claim, Phrase) else Phrase(claim, fields)
        held = not tap.opened and tap.refusal in codes
        self.promise(phrase("{claim} ({code})", claim=said, code=tap.refusal), held)


@dataclass(frozen=True)
class Story:
    """A scenario. `tells` describes the scenario in one line, and `plan` describes the scenario's site."""

    name: str
    tells: str
    play: Callable[[Script], Awaitable[None]]
    plan: Plan = field(default_factory=Plan)


stories: dict[str, Story] = {}
"""All scenarios by name, in the order in which they are defined."""


def story(name: str, tells: str, **plan: Any) -> Callable[[Callable[[Script], Awaitable[None]]], Story]:
    """Return a decorator that turns an async function into a scenario. `plan` has fields of the `Plan` for the
    scenario's site.
    """

    def add(play: Callable[[Script], Awaitable[None]]) -> Story:
        stories[name] = Story(name, tells, play, Plan(**plan))
        return stories[name]

    return add


@dataclass(frozen=True)
class Result:
    """The result of a scenario. `as_json` returns the stable form that `python -m sim run --json` prints.

    `opened` is the number of times that the strikes opened. `records` is the number of records of openings that the
    province committed. `receipts` is the number of these records for which the lock has a receipt. `duplicates` is the
    number of check-ins that repeat an earlier one. `phases_ms` has the milliseconds of each phase of the first opening.
    """

    scenario: str
    seed: int
    ok: bool
    opened: int
    records: int
    receipts: int
    duplicates: int
    lock_runtime: str
    phases_ms: dict[str, float]
    promises: list[Promise]
    error: str | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return {
            "scenario": self.scenario,
            "ok": self.ok,
            "opened": self.opened,
            "records": self.records,
            "receipts": self.receipts,
            "duplicates": self.duplicates,
            "lock_runtime": self.lock_runtime,
            "phases_ms": self.phases_ms,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "promises": [{"claim": str(promise.claim), "held": promise.held} for promise in self.promises],
            "error": self.error,
        }


async def perform(
    chosen: Story,
    seed: int = 1,
    runtime: str = "micropython",
    folder: Path | None = None,
    on_step: Callable[[Phrase], None] | None = None,
    profile: str = "CN",
    around: Callable[[Script], AbstractContextManager[object]] = nullcontext,
) -> Result:
    """Run a scenario at a new site. If `folder` is given, all files of the site are kept there.

    `around` gets the script and returns a context manager, inside which the scenario plays.

    Raises ConfigError if the machine lacks something that the site needs. Other errors are returned in the Result.
    """
    with tempfile.TemporaryDirectory(prefix="mooring-") as temporary:
        home = folder or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        try:
            plan = replace(chosen.plan, profile=profile)
            async with build(home, seed, runtime, plan, on_step) as site:
                script = Script(site, seed=seed)
                with around(script):
                    error = await _play(chosen, script, kept=folder is not None)
                return _result(chosen, script, seed, error, time.monotonic() - began)
        except ConfigError:
            raise
        except MooringError as problem:
            # The site did not start, so no door opened and no promise held.
            runs_on = str(find(runtime))
            seconds = time.monotonic() - began
            return Result(
                chosen.name, seed, False, 0, 0, 0, 0, runs_on, {}, [], told(problem, folder is not None), seconds
            )


def told(problem: MooringError, kept: bool) -> str:
    """Return the error as text. The text names the folder with the logs only if this folder is `kept`."""
    return str(problem) if kept else str(problem).partition("; see ")[0]


async def _play(chosen: Story, script: Script, kept: bool) -> str | None:
    try:
        await chosen.play(script)
        if not script.promises:
            return f"{chosen.name} promises nothing of its own"
        await _general(script)
    except MooringError as problem:
        return told(problem, kept)
    return None


def _result(chosen: Story, script: Script, seed: int, error: str | None, seconds: float) -> Result:
    found = [door.findings for door in script.site.doors]
    return Result(
        scenario=chosen.name,
        seed=seed,
        ok=error is None and all(promise.held for promise in script.promises),
        opened=sum(each.openings() for each in found),
        records=sum(each.recorded() for each in found),
        receipts=sum(each.receipted() for each in found),
        duplicates=script.site.duplicates(),
        lock_runtime=str(script.site.interpreter),
        phases_ms=phases(script.door),
        promises=script.promises,
        error=error,
        seconds=seconds,
    )


def in_flash_first(script: Script) -> None:
    """Promise that each opening was in flash before the strike opened. The reports of each board tell the order."""
    early = sum(door.findings.early_openings() for door in script.site.doors)
    script.promise("each opening was in flash before the strike moved", early == 0)


async def _general(script: Script) -> None:
    """Make the promises that every scenario must keep."""
    site, doors = script.site, script.site.doors
    registrations = site.province.registrations()
    script.promise("no registration is held twice", site.duplicates() == 0)
    in_flash_first(script)
    script.promise(
        "every opening has its record",
        all(
            door.findings.openings() <= sum(item.count for item in registrations if item.lock_id == door.lock_id)
            for door in doors
        ),
    )
    script.promise(
        "every record passes the province's checks",
        all(item.verdict == "ok" for item in site.province.store.records()),
    )
    script.promise("every check-in is complete", all(item.fields for item in registrations if item.kind == CHECK_IN))
    script.promise(
        "no tap ended by a defect or because memory ran out", not any(door.findings.defects() for door in doors)
    )
    # The search takes long. Meanwhile the locks of other sites in this process wait for their reader chips.
    exposed = await asyncio.to_thread(site.exposed)
    script.promise(
        "no guest's data is readable on the lock, at the edge or in a log{where}",
        not exposed,
        where=phrase(": {places}", places=", ".join(exposed)) if exposed else "",
    )


_CONSOLE_PHASES = (
    ("engagement", "nfc.engaged"),
    ("session", "mdoc.session"),
    ("response", "mdoc.response"),
    ("verification", "mdoc.verified"),
    ("sealing", "record.sealed"),
    ("journal", "journal.durable"),
    ("tap_to_open", "tap.opened"),
)


def phases(door: Door) -> dict[str, float]:
    """Return how many milliseconds each phase of the first opening took, and how many milliseconds passed from the
    opening to the receipt.
    """
    tap = next((tap for tap in door.taps if tap.opened), None)
    if tap is None:
        return {}
    found = {name: tap.milliseconds(event) for name, event in _CONSOLE_PHASES}
    result = {name: value for name, value in found.items() if value is not None}
    moved, durable = tap.moved, next((line for line in tap.console if line.event == "journal.durable"), None)
    if moved is None or durable is None:
        return result
    for line in door.lock.console:
        if line.event == "journal.receipted" and int(line.facts["through"]) >= int(durable.facts["counter"]):
            # Compare the lock's ticks. Arrival times cannot be compared, because console and pins have separate lines.
            result["open_to_receipt"] = float(line.ticks - moved.ticks)
            break
    return result
