"""Light and sound for the guest: a colour and a tone for each state of the door (tables in docs/door-signals.md)."""

import asyncio

from machine import PWM, Pin

from protocol import const

# name: (red, green, blue, tone in Hz or 0, tone length in ms, how often it sounds)
_SIGNALS = {
    "idle": (0, 0, 0, 0, 0, 0),
    "obstructed": (0, 0, 0, 0, 0, 0),
    "reading": (0, 0, 1, 0, 0, 0),
    "ask": (0, 1, 1, 880, 80, 2),
    "allowed": (0, 1, 0, 1760, 150, 1),
    "refused_stay": (1, 0, 0, 220, 400, 1),
    "refused_document": (1, 0, 0, 220, 400, 2),
    "refused_phone": (1, 0, 0, 220, 400, 3),
    "again": (1, 1, 0, 440, 120, 1),
    "busy": (1, 1, 1, 660, 80, 3),
    "fault": (1, 0, 1, 110, 800, 1),
}

LINGER_MS = 2000
"""How long the answer to a tap is lit before the light goes back to idle."""
ASIDE_MS = 1000
"""How long a signal for a second person replaces the signal for the guest who is being served."""
_PAUSE_MS = const(100)
_FLASH_MS = const(200)
_DARK_MS = const(2800)
"""In "obstructed" the light is on for _FLASH_MS and off for _DARK_MS, in turn."""


class Signals:
    """A buzzer and a three-colour light. `lights` are the pins for red, green and blue. Only the method `halt` works
    without the event loop."""

    def __init__(self, lights: "tuple[int, int, int]", buzzer: int) -> None:
        self._lights = [Pin(number, Pin.OUT, value=0) for number in lights]
        self._buzzer = PWM(Pin(buzzer), freq=1000, duty_u16=0)
        self._task: asyncio.Task[None] | None = None
        self._state = self._rest = "idle"
        self._linger = False

    def show(self, name: str, after_ms: int = 0) -> None:
        """Show the state `name` until the next state is shown, and sound its tone once. With `after_ms`, begin after
        that time, unless another state is shown before.

        "idle" and "obstructed" are the states of a door at rest. After the answer to a tap, the door returns to its
        most recent state at rest. A state at rest does not cut an answer short. In "obstructed" the light flashes.
        """
        if name in ("idle", "obstructed"):
            self._rest = name
            if self._linger:
                self._state = name
                return
        self._state = name
        self._play(name, after_ms=after_ms)

    def answer(self, name: str) -> None:
        """Show the answer to a tap: sound its tone, show its light for a moment, and then show the state at rest."""
        self._state = self._rest
        self._play(name, for_ms=LINGER_MS)

    def aside(self, name: str) -> None:
        """Show a signal for a second person while a guest is served. Afterwards, show the guest's signal again."""
        self._play(name, for_ms=ASIDE_MS)

    def halt(self) -> None:
        """Show the light of "fault", without a tone, until the lock starts again."""
        self._light("fault")

    def _play(self, name: str, after_ms: int = 0, for_ms: int = 0) -> None:
        if self._task is not None:
            self._task.cancel()
        self._buzzer.duty_u16(0)
        self._linger = bool(for_ms)
        if not after_ms:
            self._light(name)
        self._task = asyncio.create_task(self._run(name, after_ms, for_ms))

    async def _run(self, name: str, after_ms: int, for_ms: int) -> None:
        if after_ms:
            await asyncio.sleep(after_ms / 1000)
            self._light(name)
        _, _, _, tone, length_ms, times = _SIGNALS[name]
        for number in range(times):
            if number:
                await asyncio.sleep(_PAUSE_MS / 1000)
            self._buzzer.freq(tone)
            self._buzzer.duty_u16(32768)
            await asyncio.sleep(length_ms / 1000)
            self._buzzer.duty_u16(0)
        if for_ms:
            await asyncio.sleep((for_ms - times * (length_ms + _PAUSE_MS)) / 1000)
            self._linger = False
            self._light(self._state)
        while self._state == "obstructed":
            await asyncio.sleep(_DARK_MS / 1000)
            self._light("again")
            await asyncio.sleep(_FLASH_MS / 1000)
            self._light("obstructed")

    def _light(self, name: str) -> None:
        for light, level in zip(self._lights, _SIGNALS[name]):
            light.value(level)
