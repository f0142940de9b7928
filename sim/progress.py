"""Shows the step that a command waits for, so that the screen never stands still for long.

On a terminal, the bottom line counts the seconds. In a pipe or a file, a plain line is written now and then.
"""

import io
import re
import sys
import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.text import Text

from sim import picture
from sim.lines import Lines, broken
from sim.words import Phrase, phrase

WIDTH = 80
"""Number of columns of the output. Every terminal has at least this many columns."""

LOOK_SECONDS = 0.5
QUIET_SECONDS = 1.5
"""Longest time in seconds without a new line in a pipe or a file, where a line cannot be overwritten."""


def console(stderr: bool = False) -> Console:
    """Return the console to which a command prints. The console's lines have at most WIDTH columns.

    If the encoding of a terminal lacks a character, the terminal shows "?" in its place. For example, GBK lacks "ö".
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return Console(width=WIDTH, highlight=False, stderr=stderr)


class Progress(AbstractContextManager["Progress"]):
    """Shows progress from `__enter__` to `__exit__`. The progress has a thread of its own, because work may block the
    event loop.
    """

    def __init__(
        self, console: Console, every: float = QUIET_SECONDS, shows: bool = True, language: str = "en"
    ) -> None:
        self.language = language
        self._console = console
        self._shows = shows
        self._copy = Console(
            record=True, file=io.StringIO(), width=console.width, color_system="truecolor", highlight=False
        )
        self._every = every
        self._text = ""
        self._since = self._printed = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)
        live = shows and console.is_terminal and not console.is_dumb_terminal
        self._status = Status("", console=console) if live else None

    def __enter__(self) -> "Progress":
        if self._status is not None:
            self._status.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._status is not None:
            self._status.stop()

    def print(self, *what: object) -> None:
        """Print something above the line that counts the seconds. The arguments are those of `Console.print`."""
        if not self._shows:
            return
        self._console.print(*what)
        self._copy.print(*what)
        self._printed = time.monotonic()

    def say(self, what: Phrase, indent: int = 2, style: str = "") -> None:
        """Print a phrase in the reader's language, each line with `indent` spaces before it."""
        self.print(Lines(what.said(self.language), style, indent))

    def drawn(self) -> str:
        """Return the output so far as an SVG that loads nothing from the network."""
        return picture.drawn(self._copy, title="make demo")

    def step(self, what: Phrase | str, style: str = "") -> None:
        """Print a step that is done or that begins. A long line is wrapped, and its further lines are indented."""
        text = self._said(what)
        lines = broken(text, self._console.width - 4)
        self.print(Text("  " + "\n    ".join(lines), style=style))
        begins = text[:1] not in "✓✗0123456789"
        self.waiting(re.split("[:：]", text)[0].removeprefix("· ") if begins else phrase("it goes on"))

    def waiting(self, what: Phrase | str) -> None:
        """Show from now on that the command waits for `what`. If `what` is "", the command waits for nothing."""
        self._text, self._since = self._said(what), time.monotonic()
        self._show()

    def _said(self, what: Phrase | str) -> str:
        return what.said(self.language) if isinstance(what, Phrase) else what

    def _count(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._show()

    def _show(self) -> None:
        text, now = self._text, time.monotonic()
        line = phrase("{text}, {seconds:.0f} s", text=text, seconds=now - self._since).said(self.language)
        if self._status is not None:
            self._status.update(Text(line if text else "", overflow="ellipsis", no_wrap=True))
        elif self._shows and text and now - max(self._printed, self._since) >= self._every:
            self._console.print(Text(f"    … {line}", style="dim"))
            self._printed = now
