"""What a lock says on its console, line by line, and waiting for what it says next."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import TransportError
from sim.hang import HANG_SECONDS


@dataclass(frozen=True)
class ConsoleLine:
    """One event on the lock's console: when it was read here (seconds, monotonic), the lock's own ticks, facts."""

    at: float
    ticks: int
    event: str
    facts: Mapping[str, str]


class LockConsole:
    """Every line of this boot and those before, oldest first, in `lines`; each is also written to the file `log`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._changed = asyncio.Condition()
        self.lines: list[ConsoleLine] = []
        self.ended = True
        """Is the power off, and the console read to its end?"""

    async def follow(self, source: asyncio.StreamReader) -> None:
        """Read one boot to its end."""
        self.ended = False
        with self._log.open("ab") as log:
            async for raw in source:
                log.write(raw)
                log.flush()
                line = _parse(raw)
                if line is not None:
                    async with self._changed:
                        self.lines.append(line)
                        self._changed.notify_all()
        async with self._changed:
            self.ended = True
            self._changed.notify_all()

    async def wait_for_any(
        self,
        events: Sequence[str],
        *,
        since: int = 0,
        where: Callable[[ConsoleLine], bool] | None = None,
    ) -> ConsoleLine:
        """The first of `events` among the lines from index `since` on, of those that `where` holds for.

        Raises TransportError `lock.silent` after HANG_SECONDS, `lock.ended` when the lock ended before it.
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
    return ConsoleLine(time.monotonic(), int(words[0]), words[1], facts)
