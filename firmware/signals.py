"""What the guest perceives: a colour and a tone for each state of the door (table in docs/door-signals.md)."""

import asyncio

from machine import PWM, Pin

from firmware import pins

# name: (red, green, blue, tone in Hz or 0, tone length in ms)
_SIGNALS = {
    "idle": (0, 0, 0, 0, 0),
    "reading": (0, 0, 1, 0, 0),
    "allowed": (0, 1, 0, 1760, 150),
    "refused": (1, 0, 0, 220, 400),
    "again": (1, 1, 0, 440, 120),
    "fault": (1, 0, 1, 110, 800),
}

_LINGER_MS = 2000
"""How long the answer to a tap stays lit before the door looks idle again."""


class Signals:
    """A three-colour light and a buzzer."""

    def __init__(self) -> None:
        self._lights = [Pin(number, Pin.OUT, value=0) for number in (pins.LED_RED, pins.LED_GREEN, pins.LED_BLUE)]
        self._buzzer = PWM(Pin(pins.BUZZER), freq=1000, duty_u16=0)
        self._fade: asyncio.Task[None] | None = None

    def show(self, name: str) -> None:
        """Show a state of the table above until the next one."""
        if self._fade is not None:
            self._fade.cancel()
            self._fade = None
        red, green, blue, tone, _ = _SIGNALS[name]
        for light, level in zip(self._lights, (red, green, blue)):
            light.value(level)
        if tone:
            self._buzzer.freq(tone)
        self._buzzer.duty_u16(32768 if tone else 0)

    def answer(self, name: str) -> None:
        """Show the answer to a tap: its tone once, its light for a moment, then idle. Needs the event loop."""
        self.show(name)
        self._fade = asyncio.create_task(self._to_idle(_SIGNALS[name][4]))

    async def _to_idle(self, tone_ms: int) -> None:
        await asyncio.sleep(tone_ms / 1000)
        self._buzzer.duty_u16(0)
        await asyncio.sleep((_LINGER_MS - tone_ms) / 1000)
        self._fade = None
        self.show("idle")
