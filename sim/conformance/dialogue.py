"""A conversation with a booking platform: questions as JSON lines to its program, one line of answer to each.

The program is somebody else's. It may die, say nothing, or say too much, and none of this harms the judge.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

from protocol.errors import ConfigError
from sim.conformance.verdict import BrokenError, UnjudgedError, shown

LONGEST_LINE: Final = 65536
"""Maximum length of an answer, in bytes. The longest grant has 16,384 digits."""
GOODBYE_SECONDS: Final = 0.5


class Dialogue(Protocol):
    """A platform that answers."""

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a question. Raises BrokenError for no answer or none that is a JSON object."""

    async def restart(self) -> None:
        """Stop the platform's program and start it again. Raises UnjudgedError if that cannot be done."""


class ProgramDialogue:
    """The dialogue with a program. `deadline` is how many seconds an answer may take."""

    def __init__(self, command: Sequence[str], deadline: float) -> None:
        self._command, self._deadline = tuple(command), deadline
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, command: Sequence[str], deadline: float) -> "AsyncIterator[ProgramDialogue]":
        """Start the program. Raises ConfigError `conformance.program` if it cannot be started."""
        dialogue = cls(command, deadline)
        try:
            await dialogue._start()
            yield dialogue
        finally:
            await dialogue._stop()

    async def _start(self) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                "conformance.program", f"{shown(self._command[0])} cannot be started: {reason}. Name another program"
            ) from None

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await process.wait()  # nothing is read, so a program that writes for ever stands still
        except TimeoutError:
            await _killed(process)

    async def restart(self) -> None:
        """Kill the program and start it again, as after a power failure."""
        if self._process is not None:
            await _killed(self._process)
        await self._start()

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask one question, and return the answer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise UnjudgedError("the program does not run")
        expected = f"one line of JSON in answer to {question['ask']!r}"
        if process.stdin.is_closing():
            raise BrokenError(expected, "the end of the program")
        try:
            async with asyncio.timeout(self._deadline):
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            await self.restart()  # a late answer would be taken for the answer to the next question
            raise BrokenError(expected, f"nothing within {self._deadline:g} s") from None
        except ConnectionError:
            raise BrokenError(expected, "the end of the program") from None
        except ValueError:
            await self.restart()
            raise BrokenError(expected, f"a line of more than {LONGEST_LINE} bytes") from None
        return answer_of(line, expected)


def answer_of(line: bytes, expected: str) -> dict[str, Any]:
    """Return the answer in a line. Raises BrokenError if it is no JSON object."""
    if not line.endswith(b"\n"):
        raise BrokenError(expected, "the end of the program" if not line else f"half a line: {shown(line)}")
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise BrokenError(expected, shown(line.decode(errors="replace").rstrip()))
    return answer


async def _killed(process: asyncio.subprocess.Process) -> None:
    """Kill a program with everything that it has started. Otherwise its children would keep our pipe open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    while await process.stdout.read(LONGEST_LINE):
        pass
    await process.wait()
