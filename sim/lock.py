"""A lock as the rest of the simulator sees it: it is enrolled, started, watched and killed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from protocol.errors import ConfigError
from sim.bell import Bell
from sim.lock_console import ConsoleLine, LockConsole

NEEDED_TO_ENROL = ("MOORING_FLASH", "MOORING_RADIO")
"""Variables of a lock's environment that enrolment needs. MOORING_BOARD is not among them. Enrolment is not a boot, so
it must not appear on the board bus."""


class Lock(ABC):
    """A lock. A subclass says what runs it: a process, or a thread of this process.

    `environment` tells the lock where its board is. The lines of the lock's console are written to `log`. Each line
    rings the `bell`.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, bell: Bell | None = None) -> None:
        self._environment = environment
        self._console = LockConsole(log, bell)

    @property
    def console(self) -> list[ConsoleLine]:
        """Every console line of this boot and of earlier boots, oldest first."""
        return self._console.lines

    @property
    def ended(self) -> bool:
        """Is the power off, and has the console been read to its end?"""
        return self._console.ended

    async def wait_for(
        self, event: str, *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """Wait for a console line with `event`, at index `since` or later, for which `where` is true. Returns the line.

        Raises TransportError `lock.silent` after HANG_SECONDS, and `lock.ended` if the lock ends before such a line.
        """
        return await self._console.wait_for_any((event,), since=since, where=where)

    async def wait_for_any(
        self, events: Sequence[str], *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """Do the same as `wait_for`, but for the first line with any of `events`."""
        return await self._console.wait_for_any(events, since=since, where=where)

    @abstractmethod
    async def enrol(self, province_public: bytes, fittings: bytes) -> bytes:
        """Have the lock make its keys. Returns its request to enrol. Raises ConfigError `lock.enrolment` on failure."""

    @abstractmethod
    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra`, for example a fault, is added to the environment of this boot only."""

    @abstractmethod
    async def wait_ended(self) -> int:
        """Wait until a planned power cut has ended the lock, and return the lock's exit code."""

    @abstractmethod
    def power_off(self) -> None:
        """Take the power away now. `kill` also waits until the lock has ended."""

    @abstractmethod
    async def kill(self) -> None:
        """Take the power away. Wait until the lock has ended and its console has been read."""


def enrolment_request(said: str, shown: str) -> bytes:
    """Return the request in the output `said` of `sim.board.enrol`.

    Raises ConfigError `lock.enrolment` if there is no request. The error's message contains the end of `shown`.
    """
    words = said.split()
    if len(words) < 2 or words[-2] != "request":
        raise ConfigError("lock.enrolment", f"the lock did not enrol: {shown[-300:]}")
    return bytes.fromhex(words[-1])
