"""The strike: the one output that lets someone in. Without current from reset on, and open only for a bounded pulse.

The pulse is ended by a hardware timer, not by a task: its interrupt is served between any two steps of the interpreter,
so a loop that never comes round again leaves the door shut all the same. What stops the interpreter itself is ended by
the watchdog, whose reset takes the current away. Egress is mechanical and does not pass through here.

An interrupt only asks for its handler to be called, and the chip forgets that where eight others wait already (the
esp32 port's machine_timer.c does not look at what `mp_sched_schedule` answers). So the timer does not ring once, at the
end: it comes again and again while the strike is open, and the end of the pulse is what the time says.
"""

from machine import Pin, Timer

from firmware.hardware import ticks
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PULSE_MS = 3000
"""How long one opening lasts: time to push the door, short enough that it is shut before the next guest."""

LOOK_MS = 100
"""How often the end of a pulse is looked for."""

_TIMER = const(1)
"""Not 0: until MicroPython 1.28 the port takes that one to notice that a UART has gone idle (`firmware/nfc/hsu.py`)."""


class Strike:
    """An electric strike on one pin. Fail-secure until `fit` says otherwise: shut without current."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.OUT, value=0)
        self._shut = 0
        self._timer = Timer(_TIMER)
        self._pulse: int | None = None  # ticks of its beginning, while it lasts
        self.opened_at: int | None = None
        """Ticks of the last opening, None before the first and once it is forgotten."""

    def fit(self, fail_safe: bool) -> None:
        """Tell what kind it is. A fail-safe strike is held shut by current, so its level is inverted: it stands open
        without power, and until this call while the lock boots."""
        self._shut = 1 if fail_safe else 0
        self._pin.value(self._shut)

    def open(self) -> None:
        """Open now and shut again after PULSE_MS; opening an open strike begins the pulse anew."""
        # The end before the beginning: if there were no timer to be had, the door would stay shut. And before that the
        # moment, or the last look of an earlier pulse, coming in between, would take the timer of this one away.
        self._pulse = ticks.now()
        self._timer.init(mode=Timer.PERIODIC, period=LOOK_MS, callback=self._look)
        self.opened_at = self._pulse
        self._pin.value(1 - self._shut)

    def _look(self, _timer: "Any") -> None:
        self.look()

    def look(self) -> None:
        """Shut, if the pulse is over and nobody has. Call about once a second."""
        if self._pulse is not None and ticks.age(self._pulse) >= PULSE_MS:
            self.shut()
        if self.opened_at is not None and ticks.age(self.opened_at) >= ticks.FOREVER:
            self.opened_at = None

    def shut(self) -> None:
        """Shut at once, whatever is going on."""
        self._pin.value(self._shut)
        self._pulse = None
        self._timer.deinit()
