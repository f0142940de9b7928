"""Moments at which a radio event may interrupt the firmware. Tests run a story once for each moment, on both runtimes.

The moments are calls of the Bluetooth stack, calls of the cryptography, reads of the clock, and printed lines. On the
chip, the radio's task may deliver events at these places, and at others.
"""

import builtins

from firmware.hardware import ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Moments:
    """Counts moments, and calls a function at one of them. Inside a handler no moments are counted."""

    def __init__(self) -> None:
        self.within = True
        self.begin(0, None)

    def begin(self, when: int, act: "Callable[[], object] | None") -> None:
        """Start to count moments, and call `act` at moment `when`, or never if `when` is 0."""
        self.count, self.when, self.act = 0, when, act

    def pass_one(self) -> None:
        """Count one moment."""
        if self.within:
            return
        self.count += 1
        if self.count == self.when and self.act is not None:
            self.within = True
            self.act()
            self.within = False

    def around(self, call: "Any") -> "Any":
        """Return a function that calls `call`, with one moment before this call and one moment after it."""

        def called(*arguments: "Any", **named: "Any") -> "Any":
            self.pass_one()
            result = call(*arguments, **named)
            self.pass_one()
            return result

        return called

    def find(self) -> None:
        """Let each reading of the clock and each printed line count as a moment."""
        for owner, name in ((ticks, "now"), (builtins, "print")):
            setattr(owner, name, self.around(getattr(owner, name)))


MOMENTS = Moments()
