"""What goes wrong between host, chip and card, by chance from a seed or at a given moment."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Chances are per frame and per direction, 0 to 1.

    air_*: blocks between chip and card, lost or damaged. line_*: frames between host and chip, lost, damaged, or late
    by `late_seconds`, which holds up what comes behind them. wtx_storm: how often a card asks for more time before each
    answer. tear_off_at: the card is taken away at this block, counted from 0 (its RATS). deaf_after: the chip stops
    listening after so many commands, until it has been woken `deaf_wakes` times; it then knows nothing any more.
    stuck: it powers up as a warm reset of its host would leave it, in the middle of a command.
    """

    seed: int = 0
    air_lost: float = 0.0
    air_damaged: float = 0.0
    line_lost: float = 0.0
    line_damaged: float = 0.0
    line_late: float = 0.0
    late_seconds: float = 0.12
    wtx_storm: int = 0
    tear_off_at: int | None = None
    deaf_after: int | None = None
    deaf_wakes: int = 1
    stuck: bool = False


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
