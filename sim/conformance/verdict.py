"""What a judge says of each clause, in words for people and as objects for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from protocol.command_line_cpython import DONE, NO, UNUSABLE

Outcome = Literal["pass", "fail", "unjudged"]

PAGE: Final = "docs/integration.md"
_LONGEST: Final = 300
"""Maximum number of characters that are shown of what a peer has said."""


class BrokenError(Exception):
    """The peer has broken the clause that is being judged."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(expected)
        self.expected, self.came = expected, came


class UnjudgedError(Exception):
    """The clause cannot be judged, and this is not a fault that the clause is about."""


@dataclass(frozen=True)
class Verdict:
    """What is said of one clause. `expected` and `came` are empty if the clause held."""

    clause: str
    claim: str
    outcome: Outcome
    expected: str = ""
    came: str = ""

    def line(self) -> str:
        """Return the verdict in one line."""
        told = f"{self.outcome:8} {self.clause:>3}  {self.claim}"
        if self.outcome == "fail":
            told += f" Expected: {self.expected}. Came: {self.came}. See {PAGE}, {self.clause}."
        return told + (f" Not judged: {self.came}." if self.outcome == "unjudged" else "")

    def as_json(self) -> dict[str, str]:
        """Return the verdict as an object."""
        told = {"clause": self.clause, "claim": self.claim, "outcome": self.outcome}
        return told | {"expected": self.expected, "came": self.came, "see": f"{PAGE}, {self.clause}"}


def shown(text: object) -> str:
    """Return what a peer has said, short and in printable characters, so that it cannot harm a terminal."""
    told = "".join(each if each.isprintable() else "?" for each in str(text)[: _LONGEST + 1])
    return told if len(told) <= _LONGEST else told[:_LONGEST] + "…"


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Return DONE if every clause held, NO if one was broken, else UNUSABLE: something could not be judged."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if "fail" in outcomes:
        return NO
    return DONE if outcomes == {"pass"} else UNUSABLE


def counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Return how many verdicts there are of each outcome."""
    return {outcome: sum(each.outcome == outcome for each in verdicts) for outcome in ("pass", "fail", "unjudged")}
