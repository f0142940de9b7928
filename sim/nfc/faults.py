"""What goes wrong between host, chip and card, by chance from a seed or at a given moment."""

import random
from dataclasses import dataclass, field
from typing import Any


def _told(default: Any, meaning: str) -> Any:
    """A field whose meaning the command line can tell."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Faults:
    """What may go wrong. Chances are 0 to 1, per frame and per direction; `None` is never."""

    seed: int = _told(0, "which chances come true")
    air_lost: float = _told(0.0, "chance that a block between chip and card is lost")
    air_damaged: float = _told(0.0, "chance that a block between chip and card is damaged")
    line_lost: float = _told(0.0, "chance that a frame between host and chip is lost")
    line_damaged: float = _told(0.0, "chance that a frame between host and chip is damaged")
    line_late: float = _told(0.0, "chance that a frame between host and chip is late, and all behind it")
    late_seconds: float = _told(0.12, "how late")
    wtx_storm: int = _told(0, "how often the card asks for more time before each answer")
    tear_off_at: int | None = _told(None, "the card is taken away at this block, counted from 0, its RATS")
    deaf_after: int | None = _told(None, "the chip stops listening after so many commands, and forgets its settings")
    deaf_wakes: int = _told(1, "how often a deaf chip must be woken until it listens again")
    stuck: bool = _told(False, "the chip is in the middle of a command, as a warm reset of its host leaves it")


class Chance:
    """Draws for one chip, the same again for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def strikes(self, probability: float) -> bool:
        """Does it happen this time?"""
        return probability > 0 and self._random.random() < probability

    def damage(self, frame: bytes) -> bytes:
        """`frame` with one to three bits turned, or a byte gone, or one too many."""
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
