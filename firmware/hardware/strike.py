"""The strike: the one output that opens the door. It has no current from reset on, and each opening is a short pulse.

A hardware timer ends the pulse, and not a task. The interpreter serves its interrupt between any two steps, so a task
that loops for ever cannot keep the door open. If the interpreter itself stops, the watchdog resets the chip, which
takes the current away. Leaving the room is mechanical and does not depend on this.

    state   pin        timer     becomes the next by
    shut    shut       off       `open`: open
    open    open       running   `look`, PULSE_MS after the last `open`: shut. `shut`: shut

An interrupt only asks the interpreter to call its handler. If eight such calls are waiting already, the chip drops it
(the esp32 port's machine_timer.c ignores the result of `mp_sched_schedule`). So the timer does not fire once at the
end. It fires again and again while the strike is open, and the clock says when the pulse is over.
"""

from machine import Pin, Timer

from firmware.hardware import ticks
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PULSE_MS = 3000
"""How long one opening lasts: enough time to push the door, and over before the next guest comes."""

LOOK_MS = 100
"""How often the lock checks whether the pulse is over."""

_TIMER = const(1)
"""Not 0: up to MicroPython 1.28 the port uses timer 0 to notice that a UART is idle (`firmware/nfc/hsu.py`)."""


class Strike:
    """An electric strike on one pin. Until `fit` it is fail-secure: without current it is shut."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.OUT, value=0)
        self._shut = 0
        self._timer = Timer(_TIMER)
        self._pulse: int | None = None  # ticks at its beginning; None while the strike is shut
        self.opened_at: int | None = None
        """Ticks of the last opening. None before the first one, and once it is older than ticks can tell."""

    def fit(self, fail_safe: bool) -> None:
        """Set the kind of strike. A fail-safe strike needs current to be shut, so its level is inverted. It is open
        without power, and also while the lock boots until this call."""
        self._shut = 1 if fail_safe else 0
        self._pin.value(self._shut)

    def open(self) -> None:
        """Open now, and shut after PULSE_MS. If the strike is open already, the pulse starts again."""
        # The timer starts before the strike opens: if no timer can be had, the door stays shut. The time is set before
        # the timer: a last look of an earlier pulse could come in between and stop the timer of this pulse.
        self._pulse = ticks.now()
        self._timer.init(mode=Timer.PERIODIC, period=LOOK_MS, callback=self._look)
        self.opened_at = self._pulse
        self._pin.value(1 - self._shut)

    def _look(self, _timer: "Any") -> None:
        self.look()

    def look(self) -> None:
        """Shut if the pulse is over. Call this about once a second too, in case the timer does not."""
        if self._pulse is not None and ticks.age(self._pulse) >= PULSE_MS:
            self.shut()
        if self.opened_at is not None and ticks.age(self.opened_at) >= ticks.FOREVER:
            self.opened_at = None

    def shut(self) -> None:
        """Shut at once."""
        self._pin.value(self._shut)
        self._pulse = None
        self._timer.deinit()
