"""What the guest perceives: a colour and a tone for each state of the door (tables in docs/door-signals.md)."""

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
"""How long the answer to a tap stays lit before the door looks idle again."""
ASIDE_MS = 1000
"""How long something said to a bystander hides what the door is about."""
_PAUSE_MS = const(100)
_FLASH_MS = const(200)
_DARK_MS = const(2800)
"""The light of a door that waits with something on its reader: how long it is lit and dark in turn."""


class Signals:
    """A three-colour light, on the pins `lights` for red, green and blue, and a buzzer. Only `halt` works without the
    event loop."""

    def __init__(self, lights: "tuple[int, int, int]", buzzer: int) -> None:
        self._lights = [Pin(number, Pin.OUT, value=0) for number in lights]
        self._buzzer = PWM(Pin(buzzer), freq=1000, duty_u16=0)
        self._task: asyncio.Task[None] | None = None
        self._state = self._rest = "idle"
        self._linger = False

    def show(self, name: str, after_ms: int = 0) -> None:
        """Show a state until the next one, its tone once; `after_ms` from now, if there is no other by then.

        The door rests in the last that was shown of "idle" and "obstructed", in which it flashes. Neither cuts short
        what is said to somebody just now.
        """
        if name in ("idle", "obstructed"):
            self._rest = name
            if self._linger:
                self._state = name
                return
        self._state = name
        self._play(name, after_ms=after_ms)

    def answer(self, name: str) -> None:
        """Show the answer to a tap: its tone, its light for a moment, then idle."""
        self._state = self._rest
        self._play(name, for_ms=LINGER_MS)

    def aside(self, name: str) -> None:
        """Say something to somebody else than the guest being served: then it is as before."""
        self._play(name, for_ms=ASIDE_MS)

    def halt(self) -> None:
        """The lock cannot work: the fault's light, silent, until the power goes."""
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
