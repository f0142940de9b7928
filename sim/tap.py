"""What one tap was, from every side."""

from dataclasses import dataclass

from sim.board.bus import BoardEvent
from sim.lock_console import ConsoleLine
from sim.phone.phone import TapOutcome
from sim.shown import Signal

ANSWERS = ("tap.opened", "tap.refused", "tap.failed")
"""How the lock's console ends a tap."""


@dataclass(frozen=True)
class Tap:
    """One tap, from every side: the phone's outcome, and what lock and board did during it.

    `began` and `opened_at` are seconds of this machine's `time.monotonic()`, the latter by the lock's own ticks.
    `moved` is the strike's move; `answer` what the door showed in the end, when its tone had just begun.
    """

    outcome: TapOutcome
    began: float
    console: list[ConsoleLine]
    moved: BoardEvent | None = None
    opened_at: float | None = None
    answer: Signal | None = None

    @property
    def opened(self) -> bool:
        """Did the strike move?"""
        return self.moved is not None

    @property
    def to_open(self) -> float:
        """Seconds from the beginning until the strike moved; 0 if it did not."""
        return 0.0 if self.opened_at is None else self.opened_at - self.began

    @property
    def refusal(self) -> str | None:
        """Code of the lock's refusal."""
        line = next((line for line in self.console if line.event in ("tap.refused", "tap.failed")), None)
        return None if line is None else line.facts.get("code", line.facts.get("error"))

    def __str__(self) -> str:
        light = "" if self.answer is None else f", {self.answer.colour} light"
        if self.opened:
            return f"let in after {self.to_open * 1000:.0f} ms{light}"
        return "not noticed" if self.refusal is None else f"not let in, {self.refusal}{light}"

    def milliseconds(self, event: str) -> float | None:
        """What the lock's console says a phase took."""
        line = next((line for line in self.console if line.event == event), None)
        return None if line is None else float(line.facts["ms"])
