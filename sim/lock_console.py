"""Reads a lock's console line by line, and waits for certain lines."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import TransportError
from sim.bell import Bell
from sim.hang import HANG_SECONDS


@dataclass(frozen=True)
class ConsoleLine:
    """One event on the lock's console. `at` is the time of the event loop, in seconds, when the line was read.

    `ticks` is the lock's clock when the lock wrote the line. `facts` has the other words of the line.
    """

    at: float
    ticks: int
    event: str
    facts: Mapping[str, str]


class LockConsole:
    """The console of one lock. `lines` has every line of this boot and of earlier boots, oldest first.

    Each line is also written to the file `log`. The `bell` is rung for each line, and at the end.
    """

    def __init__(self, log: Path, bell: Bell | None = None) -> None:
        self._log = log
        self._bell = bell or Bell()
        self._changed = asyncio.Condition()
        self.lines: list[ConsoleLine] = []
        self.ended = True
        """Is the power off, and has the console been read to its end?"""

    def follow(self, source: asyncio.StreamReader) -> asyncio.Task[None]:
        """Start a task that reads the console of the boot that begins now, until the boot ends."""
        self.ended = False
        return asyncio.create_task(self._read(source))

    async def _read(self, source: asyncio.StreamReader) -> None:
        with self._log.open("ab") as log:
            async for raw in source:
                log.write(raw)
                log.flush()
                line = _parse(raw)
                if line is not None:
                    async with self._changed:
                        self.lines.append(line)
                        self._changed.notify_all()
                    self._bell.ring()
        async with self._changed:
            self.ended = True
            self._changed.notify_all()
        self._bell.ring()

    async def wait_for_any(
        self,
        events: Sequence[str],
        *,
        since: int = 0,
        where: Callable[[ConsoleLine], bool] | None = None,
    ) -> ConsoleLine:
        """Wait for a line with one of `events`, at index `since` or later, for which `where` is true. Returns the line.

        Raises TransportError `lock.silent` after HANG_SECONDS, and `lock.ended` if the lock ends before such a line.
        """

        def find() -> ConsoleLine | None:
            wanted = (line for line in self.lines[since:] if line.event in events)
            return next((line for line in wanted if where is None or where(line)), None)

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: find() is not None or self.ended), HANG_SECONDS)
            except TimeoutError:
                raise TransportError(
                    "lock.silent", f"no {events[0]} in {HANG_SECONDS:.0f} s; see {self._log}"
                ) from None
            found = find()
        if found is None:
            raise TransportError("lock.ended", f"the lock ended before {events[0]}; see {self._log}")
        return found


def _parse(raw: bytes) -> ConsoleLine | None:
    words = raw.decode("utf-8", "replace").split()
    if len(words) < 2 or not words[0].lstrip("-").isdigit():
        return None
    facts = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    return ConsoleLine(asyncio.get_running_loop().time(), int(words[0]), words[1], facts)
