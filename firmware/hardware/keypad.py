"""A keypad at the door, over Wiegand: two wires, one for zeros and one for ones. A low pulse on a wire is a bit.

A key is eight bits, as keypads of access control send it in their 8-bit mode. The low four bits are the key, and the
high four their complement, so that a lost pulse is noticed. There are ten digits. `*` clears what was typed and `#`
confirms it. The keypad beeps by itself. While the interpreter is busy the chip queues eight edges, just enough for a
key.

The wires are outside. Somebody who reaches them could pulse them so fast that no other interrupt finds a place in that
queue. So the lock stops listening for a while to a keypad that does not pause.
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
"""After a pause of this length a new key begins. Within a key, pulses are 1 to 3 ms apart."""
PAUSE_MS = 10000
"""After a pause of this length, what was typed is cleared."""
BURST = 256
"""So many pulses without a pause of GAP_MS are noise. They would be 32 keys, and no hand types that fast."""
DEAF_MS = 1000
"""How long the lock does not listen after noise."""
LONGEST = 16
"""Most digits that are kept, the first ones. A PIN is shorter, so longer input is nobody's PIN."""


class Keypad:
    """A keypad on the pins `d0` and `d1`. They have pull-ups, so that they are silent if no keypad is connected."""

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
        # After eight bits that were no key, what follows is noise, and is ignored until there is a pause.

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
        """Wait for digits that are typed and confirmed, 1 to LONGEST of them, and return them."""
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
        """Give `enter` each code that is typed, for ever. `enter` must not raise."""
        while True:
            await enter(await self.code())
