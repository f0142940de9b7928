"""One tap, as reported by the phone, the lock and the board."""

from dataclasses import dataclass

from sim.board.bus import BoardEvent
from sim.lock_console import ConsoleLine
from sim.phone.phone import TapOutcome
from sim.shown import LIGHTS, Signal
from sim.words import Phrase, phrase

ANSWERS = ("tap.opened", "tap.refused", "tap.failed")
"""The console events that end a tap."""


@dataclass(frozen=True)
class Tap:
    """One tap: the phone's outcome, and the reports of lock and board during the tap.

    `began` and `opened_at` are seconds of the event loop's clock. `opened_at` is computed from the lock's ticks.
    `moved` is the report that the strike opened. `answer` is the light and the tone that the lock gives at the end of a
    tap. This answer was read when the tone had just begun. `who` is the visitor, and `number` counts the taps at the
    door.
    """

    outcome: TapOutcome
    began: float
    console: list[ConsoleLine]
    moved: BoardEvent | None = None
    opened_at: float | None = None
    answer: Signal | None = None
    who: str | Phrase = ""
    number: int = 0

    @property
    def opened(self) -> bool:
        """Did the strike open?"""
        return self.moved is not None

    @property
    def to_open(self) -> float:
        """Seconds from the beginning of the tap until the strike opened, or 0 if the strike did not open."""
        return 0.0 if self.opened_at is None else self.opened_at - self.began

    @property
    def refusal(self) -> str | None:
        """Code of the lock's refusal, or type of the error that ended the tap. None if neither happened."""
        line = next((line for line in self.console if line.event in ("tap.refused", "tap.failed")), None)
        return None if line is None else line.facts.get("code", line.facts.get("error"))

    def told(self) -> Phrase:
        """Return the result of the tap and the light, in words. The result is the time until the door opened, or the
        refusal.
        """
        if self.opened:
            result = phrase("let in after {ms:.0f} ms", ms=self.to_open * 1000)
        elif self.refusal is not None:
            result = phrase("not let in, {code}", code=self.refusal)
        else:
            return phrase("not noticed")
        return (
            result
            if self.answer is None
            else phrase("{result}, {light}", result=result, light=LIGHTS[self.answer.colour])
        )

    def __str__(self) -> str:
        return str(self.told())

    def milliseconds(self, event: str) -> float | None:
        """Milliseconds that a phase took, as the lock's console reports them at `event`."""
        line = next((line for line in self.console if line.event == event), None)
        return None if line is None else float(line.facts["ms"])
