"""`python -m sim soak` runs the scenarios of radios and power cuts with many seeds, and prints one table of results.

`noisy-air` plays many seeds at one site, because a real door stays in service for long. Each of the other scenarios
gets a new site for each seed.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from edge_agent.counted import counted
from protocol.errors import ConfigError, MooringError
from sim.progress import Progress, console
from sim.scenarios import noise, perform, power, radios, stories
from sim.site import build

NOISY = "noisy-air"
SEEDS_A_WORLD = 10
QUIET_SECONDS = 10
"""Longest time in seconds without a new line in a file or a pipe. The whole run may take hours."""
ROUND_SECONDS = 300
"""Longest time in seconds for one seed. A seed usually takes about twelve seconds. After ROUND_SECONDS, something
hangs."""
FINISHED = 0.99
"""Share of taps that must open the door at the first try or at the second."""


@dataclass
class Batch:
    """The results of some seeds of one scenario. `broken` has each seed that failed, with a text that says why."""

    scenario: str
    seeds: int = 0
    tally: noise.Tally = field(default_factory=noise.Tally)
    broken: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "Batch") -> None:
        """Add the results of `other`."""
        self.seeds += other.seeds
        self.tally.add(other.tally)
        self.broken += other.broken
        self.seconds += other.seconds

    @property
    def holds(self) -> bool:
        """Did all promises hold, and did enough taps open the door?"""
        return not self.broken and self.tally.unfinished <= self.tally.taps * (1 - FINISHED)


def run(seeds: range, others: int, jobs: int, runtime: str, keep: Path | None) -> int:
    """Play noisy air with `seeds`. Play each of the other scenarios of radios and power with `others` seeds.

    Up to `jobs` sites run at the same time. Prints the progress and then the table. If a promise did not hold at a
    noisy site, the files of that site are copied to `keep`. Returns 0 if every promise held and enough taps opened the
    door, else 1. Raises ConfigError `site.seeds` if there are no seeds.
    """
    found: dict[str, Batch] = {name: Batch(name) for name in (NOISY, *_others())}
    total = len(seeds) + others * len(_others())
    if not total:
        raise ConfigError(
            "site.seeds", "there are no seeds, so nothing would be played. Give --seeds or --others a number above 0"
        )
    began = time.monotonic()
    with Progress(console(), every=QUIET_SECONDS) as progress, ProcessPoolExecutor(jobs) as pool:
        progress.waiting(f"{counted(total, 'seed')} to play")
        pending: list[Future[Batch]] = [pool.submit(_noisy, part, runtime, keep) for part in _parts(seeds)]
        for name in _others():
            pending += [pool.submit(_one, name, seed, runtime) for seed in range(1, others + 1)]
        for done in as_completed(pending):
            batch = done.result()
            found[batch.scenario].add(batch)
            played = sum(each.seeds for each in found.values())
            wrong = "".join(f"; seed {seed}: {what}" for seed, what in batch.broken)
            told = f"{played:>4} of {counted(total, 'seed')}, {time.monotonic() - began:.0f} s: {batch.scenario}{wrong}"
            progress.step(told, "red" if wrong else "")
            progress.waiting(f"{counted(total - played, 'seed')} to play")
            sys.stdout.flush()  # each line is written at once, even to a file
        progress.waiting("")
        progress.print()
        progress.print(table(list(found.values())))
    return 0 if all(batch.holds for batch in found.values()) else 1


def _others() -> list[str]:
    soaked = (radios.__name__, power.__name__)
    return [name for name, story in stories.items() if story.play.__module__ in soaked and name != NOISY]


def _parts(seeds: range) -> Iterator[range]:
    for at in range(0, len(seeds), SEEDS_A_WORLD):
        yield seeds[at : at + SEEDS_A_WORLD]


def _noisy(seeds: Sequence[int], runtime: str, keep: Path | None) -> Batch:
    batch = Batch(NOISY)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mooring-soak-") as folder:
        asyncio.run(_play_noise(batch, seeds, Path(folder), runtime))
        if batch.broken and keep is not None:
            shutil.copytree(folder, keep / f"{NOISY}-{seeds[0]}", dirs_exist_ok=True)
    batch.seconds = time.monotonic() - began
    return batch


async def _play_noise(batch: Batch, seeds: Sequence[int], folder: Path, runtime: str) -> None:
    seed = seeds[0]
    try:
        async with build(folder, seed, runtime) as site, noise.crew(site) as crew:
            [door] = site.doors
            for seed in seeds:
                batch.seeds += 1
                async with asyncio.timeout(ROUND_SECONDS):
                    tally = await crew.round(seed)
                batch.tally.add(tally)
                if tally.wrong or tally.wedged:
                    wrongly, wedged = counted(tally.wrong, "wrong opening"), counted(tally.wedged, "time")
                    batch.broken.append((seed, f"{wrongly}, {wedged} wedged"))
            await door.settle(door.findings.openings())
            wrong = [*door.findings.defects(), *site.exposed()]
            if not batch.tally.opened == door.findings.openings() == door.findings.recorded():
                opened, moved = counted(batch.tally.opened, "tap"), counted(door.findings.openings(), "opening")
                wrong.append(f"{opened} opened, {moved}, {counted(door.findings.recorded(), 'record')}")
            if site.duplicates():
                wrong.append("records twice")
            if wrong:
                batch.broken.append((seed, "; ".join(wrong)))
    except ConfigError:
        raise
    except MooringError as error:
        batch.broken.append((seed, str(error)))
    except TimeoutError:
        batch.broken.append((seed, f"not over after {ROUND_SECONDS} s"))


def _one(name: str, seed: int, runtime: str) -> Batch:
    began = time.monotonic()
    result = asyncio.run(perform(stories[name], seed, runtime))
    broken = [str(promise.claim) for promise in result.promises if not promise.held] + [result.error or ""] * (
        not result.ok
    )
    tally = noise.Tally()
    return Batch(name, 1, tally, [] if result.ok else [(seed, "; ".join(broken))], time.monotonic() - began)


def table(batches: list[Batch]) -> Table:
    """Return the results as a table with a row for each scenario. Scenarios that were not played have dashes."""
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("scenario", no_wrap=True)
    for column in ("seeds", "taps", "at once", "re-tap", "never", "wrong", "wedged", "slowest s", "s a seed"):
        shown.add_column(column.replace(" ", "\n", 1).replace("-", "-\n"), justify="right")
    shown.add_column("held", justify="right")
    for batch in batches:
        tally = batch.tally
        counts = (
            tally.taps,
            tally.at_once,
            tally.again,
            tally.unfinished,
            tally.wrong,
            tally.wedged,
            f"{tally.slowest:.1f}",
        )
        cells = [str(count) if tally.taps else "-" for count in counts]
        held = "[green]yes[/green]" if batch.holds else "[red]NO[/red]"
        held = held if batch.seeds or batch.broken else "-"
        shown.add_row(batch.scenario, str(batch.seeds), *cells, f"{batch.seconds / max(batch.seeds, 1):.1f}", held)
    return shown
