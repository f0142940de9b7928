"""Light and sound for the guest. Each state of the door has its own rhythm, colour and pitch (docs/door-signals.md).

The rhythm alone tells the signals apart. So a guest who sees no colours, hears nothing or sees nothing still knows what
the door says. A rhythm is a word of these marks:

    .   short: on for 2 units, then off for 3
    -   long: on for 6 units, then off for 3
    _   a pause: off for 5 units
    =   the light stays on (no tone has this mark)

The light repeats its word until the next signal. An answer and a signal for a second person show their word once. The
tone sounds for one round of the rhythm, together with the light. Where the light stays on, the tone has a word of its
own.

The lock computes for up to half a second at a time, and nothing else runs meanwhile. So a beat may last longer, but no
beat is lost. Therefore most signals differ by the number of their beats. While "reading" is shown, the lock does its
longest computations, so the light of "reading" does not blink.
"""

import asyncio

from machine import PWM, Pin

from protocol import const

UNIT_MS = 100
"""Length of a unit. With units of this length, a light flashes at most twice a second. WCAG 2.2, 2.3.1 allows three
flashes."""
_SHORT = const(2)
_LONG = const(6)
_OFF = const(3)
_PAUSE = const(5)

# Each row has the name, the colour (red, green, blue), the light's word, the tone in Hz, the tone's word, and the
# meaning. The table is one text, because tuples would take more of the heap.
_TABLE = const(
    "\n"
    "idle 000 _ 0 _ the door waits\n"
    "obstructed 110 .____ 0 _ something lies on the reader\n"
    "reading 001 = 880 . hold the phone still\n"
    "ask 011 ..__ 880 ..__ agree on the phone\n"
    "allowed 010 ......__ 1760 ......__ the door is open\n"
    "refused_stay 100 -__ 220 -__ ask the host\n"
    "refused_document 100 --__ 220 --__ use another document\n"
    "refused_phone 100 ---__ 220 ---__ look at the phone\n"
    "again 110 .-__ 440 .-__ try again\n"
    "busy 111 ...__ 660 ...__ one guest at a time\n"
    "fault 101 -..__ 110 -..__ call the host\n"
)


def row(name: str) -> "list[str]":
    """Return the row of the signal `name`: name, colour, word of the light, Hz, word of the tone, meaning."""
    at = _TABLE.index("\n" + name + " ") + 1
    return _TABLE[at : _TABLE.index("\n", at)].split(" ", 5)


class Signals:
    """A buzzer and a three-colour light. `lights` are the pins for red, green and blue. Only the method `halt` works
    without the event loop. `answering` is True while an answer, or a signal for a second person, is shown."""

    def __init__(self, lights: "tuple[int, int, int]", buzzer: int) -> None:
        self._lights = [Pin(number, Pin.OUT, value=0) for number in lights]
        self._buzzer = PWM(Pin(buzzer), freq=1000, duty_u16=0)
        self._task: asyncio.Task[None] | None = None
        self._state = self._rest = "idle"
        self.answering = False

    def show(self, name: str, after_ms: int = 0, sound: bool = True) -> None:
        """Show the state `name` until the next state is shown. If `sound` is true, also sound the tone of this state
        once. If `after_ms` is given, begin after that time, unless another state is shown before.

        "idle" and "obstructed" are the states of a door at rest. After the answer to a tap, the door returns to its
        most recent state at rest. A state at rest does not cut an answer short.
        """
        if name in ("idle", "obstructed"):
            self._rest = name
            if self.answering:
                self._state = name
                return
        self._state = name
        self._play(name, after_ms, False, sound)

    def answer(self, name: str) -> None:
        """Show the answer to a tap once, and then the state at rest."""
        self._state = self._rest
        self._play(name, 0, True, True)

    def aside(self, name: str) -> None:
        """While a guest is served, show a signal for a second person once. Then show the guest's signal again."""
        self._play(name, 0, True, True)

    def rest(self) -> None:
        """Show the state at rest immediately, whatever is shown now."""
        self._state = self._rest
        self._play(self._rest, 0, False, True)

    def halt(self) -> None:
        """Show the colour of "fault", without a rhythm or a tone, until the lock starts again."""
        self._light(row("fault")[1])

    def _play(self, name: str, after_ms: int, once: bool, sound: bool) -> None:
        if self._task is not None:
            self._task.cancel()
        self._buzzer.duty_u16(0)
        self.answering = once
        if not after_ms:
            _, colour, light, _, _, _ = row(name)
            self._light("000" if light[0] == "_" else colour)
        self._task = asyncio.create_task(self._run(name, after_ms, once, sound))

    async def _run(self, name: str, after_ms: int, once: bool, sound: bool) -> None:
        if after_ms:
            await asyncio.sleep(after_ms / 1000)
        while True:
            _, colour, light, hertz, tone, _ = row(name)
            steady = light == "="
            if steady:
                self._light(colour)
            for mark in light if not steady else tone if sound else "":
                await self._beat(mark, None if steady else colour, int(hertz) if sound else 0)
            sound = False
            if once:
                once = self.answering = False
                name = self._state
            elif steady or light == "_":
                return

    async def _beat(self, mark: str, colour: "str | None", hertz: int) -> None:
        """Show one mark. If `colour` is given, set the light. If `hertz` is not 0, sound the tone."""
        if mark == "_":
            self._light("000")
            await asyncio.sleep(_PAUSE * UNIT_MS / 1000)
            return
        if colour:
            self._light(colour)
        if hertz:
            self._buzzer.freq(hertz)
            self._buzzer.duty_u16(32768)
        await asyncio.sleep((_LONG if mark == "-" else _SHORT) * UNIT_MS / 1000)
        self._buzzer.duty_u16(0)
        if colour:
            self._light("000")
        await asyncio.sleep(_OFF * UNIT_MS / 1000)

    def _light(self, colour: str) -> None:
        for light, level in zip(self._lights, colour):
            light.value(level == "1")
