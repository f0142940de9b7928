"""Moments in the midst of the firmware's doings, for stories that are told once for each. Runs on both runtimes.

Moments are calls of the stack and of the crypto, looks at the clock and lines printed: there, among other places, the
chip's own task with the radio's events may come in between.
"""

import builtins

from firmware.hardware import ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Moments:
    """Counts them, and does something at one. None is within a handler."""

    def __init__(self) -> None:
        self.within = True
        self.begin(0, None)

    def begin(self, when: int, act: "Callable[[], object] | None") -> None:
        """Count from here on, and `act` at moment `when`, 0 for never."""
        self.count, self.when, self.act = 0, when, act

    def pass_one(self) -> None:
        """This is one."""
        if self.within:
            return
        self.count += 1
        if self.count == self.when and self.act is not None:
            self.within = True
            self.act()
            self.within = False

    def around(self, call: "Any") -> "Any":
        """`call` with a moment before it and one after."""

        def called(*arguments: "Any", **named: "Any") -> "Any":
            self.pass_one()
            result = call(*arguments, **named)
            self.pass_one()
            return result

        return called

    def find(self) -> None:
        """There are some wherever the clock is looked at, and a line is printed."""
        for owner, name in ((ticks, "now"), (builtins, "print")):
            setattr(owner, name, self.around(getattr(owner, name)))


MOMENTS = Moments()
