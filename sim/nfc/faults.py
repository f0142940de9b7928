"""Faults between host, chip and card. Some faults happen by chance, which a seed makes repeatable. Other faults happen
at a given moment.
"""

import random
from dataclasses import dataclass, field
from typing import Any


def _told(default: Any, meaning: str) -> Any:
    """A field with a description for the command line."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Faults:
    """The faults. A chance is a number from 0 to 1, for each frame in each direction. `None` means never."""

    seed: int = _told(0, "chooses which faults happen")
    air_lost: float = _told(0.0, "chance that a block between chip and card is lost")
    air_damaged: float = _told(0.0, "chance that a block between chip and card is damaged")
    line_lost: float = _told(0.0, "chance that a frame between host and chip is lost")
    line_damaged: float = _told(0.0, "chance that a frame between host and chip is damaged")
    line_late: float = _told(0.0, "chance that a frame between host and chip is late, with all frames after it")
    late_seconds: float = _told(0.12, "how late")
    wtx_storm: int = _told(0, "how often the card asks for more time before each answer")
    tear_off_at: int | None = _told(None, "the card is taken away at this block, counted from 0, which is RATS")
    deaf_after: int | None = _told(None, "the chip stops listening after so many commands, and forgets its settings")
    deaf_wakes: int = _told(1, "how often a deaf chip must be woken before it listens again")
    stuck: bool = _told(False, "the chip is in the middle of a command, as after a warm reset of its host")


class Chance:
    """Random draws for one chip. The same seed gives the same draws."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def strikes(self, probability: float) -> bool:
        """Decide whether a fault of this probability happens now."""
        return probability > 0 and self._random.random() < probability

    def damage(self, frame: bytes) -> bytes:
        """Return `frame` with one to three bits flipped, or with a byte removed or added."""
        changed = bytearray(frame)
        match self._random.randrange(5):
            case 0:
                del changed[self._random.randrange(len(changed))]
            case 1:
                changed.insert(self._random.randrange(len(changed)), self._random.randrange(256))
            case _:
                for _ in range(self._random.randint(1, 3)):
                    changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        return bytes(changed)
