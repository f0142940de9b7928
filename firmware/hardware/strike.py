"""The strike, the only output that opens the door. After a reset, the strike has no current. Each opening is a short
pulse.

A hardware timer, not a task, ends the pulse. The interpreter can serve the timer's interrupt after every step, so even
a task that loops for ever cannot keep the door open. If the interpreter itself stops, the watchdog resets the chip, and
the reset switches the current off. Guests leave the room mechanically, without the strike.

    state   pin        timer     becomes the next by
    shut    shut       off       `open`: open
    open    open       running   `look`, PULSE_MS after the last `open`: shut. `shut`: shut

An interrupt only asks the interpreter to call the timer's handler. If eight such calls are waiting already, the chip
drops the new call (the esp32 port's machine_timer.c ignores the result of `mp_sched_schedule`). So a timer that fires
only once, at the end of the pulse, would not be safe. Instead the timer fires periodically while the strike is open. At
each call, the handler reads the clock to find out whether the pulse is over.
"""

from machine import Pin, Timer

from firmware.hardware import ticks
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PULSE_MS = 3000
"""How long one opening lasts. The guest has enough time to push the door, and the opening ends before the next guest
comes."""

LOOK_MS = 100
"""How often the lock checks whether the pulse is over."""

_TIMER = const(1)
"""Number of the hardware timer. Timer 0 is taken: up to MicroPython 1.28, the port uses timer 0 to notice that a UART
is idle (`firmware/nfc/hsu.py`)."""


class Strike:
    """An electric strike on one pin. Until `fit` is called, the lock treats the strike as a fail-secure strike, which
    is shut without current."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.OUT, value=0)
        self._shut = 0
        self._timer = Timer(_TIMER)
        self._pulse: int | None = None  # ticks at the beginning of the pulse; None while the strike is shut
        self.opened_at: int | None = None
        """The time of the most recent opening, in ticks. The value is None before the first opening, and also after
        about six days, because the ticks cannot measure a longer time."""

    def fit(self, fail_safe: bool) -> None:
        """Set the kind of strike. A fail-safe strike needs current to stay shut, so the level of its pin is inverted.
        Without power it is open. While the lock boots, a fail-safe strike is open until this call."""
        self._shut = 1 if fail_safe else 0
        self._pin.value(self._shut)

    def open(self) -> None:
        """Open now, and shut after PULSE_MS. If the strike is open already, start the pulse again."""
        # Start the timer before the strike opens, so that the door stays shut if the timer cannot be started. Set
        # `_pulse` before the timer starts. Otherwise a call of `look` for an earlier pulse could come in between, and
        # stop the timer of this pulse.
        self._pulse = ticks.now()
        self._timer.init(mode=Timer.PERIODIC, period=LOOK_MS, callback=self._look)
        self.opened_at = self._pulse
        self._pin.value(1 - self._shut)

    def _look(self, _timer: "Any") -> None:
        self.look()

    def look(self) -> None:
        """Shut the strike if the pulse is over. The timer calls this method; also call the method about once a second,
        in case the timer fails."""
        if self._pulse is not None and ticks.age(self._pulse) >= PULSE_MS:
            self.shut()
        if self.opened_at is not None and ticks.age(self.opened_at) >= ticks.FOREVER:
            self.opened_at = None

    def shut(self) -> None:
        """Shut the strike at once."""
        self._pin.value(self._shut)
        self._pulse = None
        self._timer.deinit()
