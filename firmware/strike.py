"""The strike: the one output that lets someone in. Inert from reset, and open only for a bounded pulse.

Egress is mechanical and does not pass through here.
"""

import asyncio

from machine import Pin

PULSE_MS = 3000
"""How long one opening lasts: time to push the door, short enough that it is shut before the next guest."""


class Strike:
    """An electric strike on one pin. `fail_safe` strikes are held shut by current, so their level is inverted."""

    def __init__(self, pin: int, fail_safe: bool = False) -> None:
        self._shut = 1 if fail_safe else 0
        self._pin = Pin(pin, Pin.OUT, value=self._shut)
        self._pulse: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open now and shut again after PULSE_MS; opening an open strike begins the pulse anew."""
        if self._pulse is not None:
            self._pulse.cancel()
        self._pin.value(1 - self._shut)
        self._pulse = asyncio.create_task(self._shut_later())

    async def _shut_later(self) -> None:
        await asyncio.sleep(PULSE_MS / 1000)
        self._pin.value(self._shut)

    def shut(self) -> None:
        """Shut at once, whatever is going on."""
        self._pin.value(self._shut)
