"""A keypad at the door, over Wiegand: two wires, one for zeros and one for ones. Each low pulse on a wire is one bit.

Each key is sent as eight bits, as in the 8-bit mode of keypads for access control. The low four bits are the key, and
the high four bits are their complement, so that a lost pulse is noticed. There are ten digits. `*` clears the digits
typed so far, and `#` confirms them. The keypad beeps by itself. While the interpreter is busy, the chip can queue at
most eight pulses, just enough for one key.

The wires are on the outside of the door. Somebody who reaches the wires could pulse them so fast that the queue has no
place for any other interrupt. So if pulses come without a pause, the lock ignores the keypad for a while.
"""

import asyncio

from machine import Pin

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.irq_flag import irq_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEYS = "0123456789*#"
GAP_MS = 100
"""A pulse after a pause of this length begins a new key. Within a key, pulses are 1 to 3 ms apart."""
PAUSE_MS = 10000
"""After a pause of this length, the digits typed so far are cleared."""
BURST = 256
"""More pulses than this without a pause of GAP_MS are noise. So many pulses would be 32 keys, and nobody types that
fast."""
DEAF_MS = 1000
"""How long the lock ignores the keypad after noise."""
LONGEST = 16
"""Maximum number of digits that are kept. Further digits are dropped. Every PIN is shorter than this."""


class Keypad:
    """A keypad on the pins `d0` and `d1`. The pins have pull-ups, so that they are silent if no keypad is connected."""

    def __init__(self, d0: int, d1: int) -> None:
        self._flag = irq_flag()
        self._bits = 0
        self._count = 0
        self._edge = ticks.now()
        self._keys = ""
        self._burst = 0
        self._zero, self._one = Pin(d0, Pin.IN, Pin.PULL_UP), Pin(d1, Pin.IN, Pin.PULL_UP)
        self._listen()

    def _listen(self) -> None:
        self._deaf = False
        self._burst = 0
        self._zero.irq(self._on_zero, Pin.IRQ_FALLING)
        self._one.irq(self._on_one, Pin.IRQ_FALLING)

    def _stop_listening(self) -> None:
        self._zero.irq(None)
        self._one.irq(None)
        self._deaf = True
        self._flag.set()

    def _on_zero(self, _pin: "Pin") -> None:
        self._shift(0)

    def _on_one(self, _pin: "Pin") -> None:
        self._shift(1)

    def _shift(self, bit: int) -> None:
        if ticks.age(self._edge) >= GAP_MS:
            self._bits = self._count = self._burst = 0
        self._edge = ticks.now()
        self._burst += 1
        if self._burst > BURST:
            self._stop_listening()
            return
        self._bits = self._bits << 1 & 0xFF | bit
        self._count += 1
        if self._count == 8:
            low = self._bits & 15
            if self._bits >> 4 ^ low == 15 and low < len(KEYS):
                self._count = 0
                if len(self._keys) < LONGEST:
                    self._keys += KEYS[low]
                self._flag.set()
        # If eight bits were not a valid key, further bits count as noise and are ignored until there is a pause.

    async def _key(self) -> str:
        while not self._keys:
            if self._deaf:
                log("keypad.noise")
                await asyncio.sleep(DEAF_MS / 1000)
                self._listen()
            else:
                await self._flag.wait()
                self._flag.clear()
        key, self._keys = self._keys[0], self._keys[1:]
        return key

    async def code(self) -> str:
        """Wait until somebody has typed 1 to LONGEST digits and confirmed them, and return the digits."""
        typed = ""
        while True:
            try:
                key: str = await asyncio.wait_for(self._key(), PAUSE_MS / 1000 if typed else None)
            except asyncio.TimeoutError:
                key = "*"
            if key == "*":
                typed = ""
                log("keypad.cleared")
            elif key != "#":
                typed = (typed + key)[:LONGEST]
            elif typed:
                return typed

    async def serve(self, enter: "Callable[[str], Awaitable[None]]") -> None:
        """Run for ever: wait until somebody has typed a code, and call `enter` with this code. `enter` must not raise
        exceptions."""
        while True:
            await enter(await self.code())
