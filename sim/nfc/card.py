"""A contactless card or phone, from power-up to APDUs.

The card has the states of ISO/IEC 14443-3 and speaks the blocks of ISO/IEC 14443-4.
"""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

State = Literal["off", "idle", "halted", "active", "protocol"]

_HLTA = b"\x50\x00"
_RANDOM_UID = b"\x08"
"""First byte of a random UID. Such a UID has four bytes and is drawn at power-up (ISO/IEC 14443-3, 6.5.4)."""
_RATS = 0xE0
_PPS = 0xD0
_DESELECT = b"\xc2"
_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
_CARRIER = 13_560_000


@dataclass(frozen=True)
class Traits:
    """The parameters of a card.

    `fsci`, `fwi` and `sfgi` are frame size, waiting time and guard time, as indices of clause 5.2. `rates` are the bit
    rates, coded as TA(1). `wtxm` is the number of waiting times that the card asks for when it needs more time.
    `sel_res` is SAK, 0x20 for ISO-DEP. With `wakes`, the card answers WUPA after HLTA, as the standard demands. With
    `fresh_uid`, the card has a new UID each time it gets power, as phones have.
    """

    fsci: int = 8
    fwi: int = 8
    sfgi: int = 0
    rates: int = 0x00
    wtxm: int = 4
    sel_res: int = 0x20
    sens_res: bytes = b"\x00\x04"
    historical: bytes = b""
    wakes: bool = True
    fresh_uid: bool = False

    @property
    def fwt(self) -> float:
        """Frame waiting time, seconds."""
        return float(4096 * 2**self.fwi / _CARRIER)


class Card:
    """One card. The card's application takes `commands` and fills `answers`.

    The command None means that the reader has let go of the card. Before each answer, the card sends `wtx_storm`
    requests for more time, even if the answer is ready.
    """

    def __init__(self, uid: bytes, traits: Traits | None = None, wtx_storm: int = 0) -> None:
        self.uid = uid
        """The current UID. With `fresh_uid`, the UID changes when the power goes."""
        self.traits = traits or Traits()
        self.state: State = "off"
        self.rate = 106
        self.blocks = 0
        """Number of blocks sent to the card since it was made, including RATS."""
        self.activations = 0
        self.commands: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._wtx_storm = wtx_storm
        self._was_halted = False
        self._reset()

    def _reset(self) -> None:
        self._number = 1  # rule C
        self._fsd = 32
        self._last = b""
        self._incoming = bytearray()
        self._outgoing: list[bytes] = []
        self._waiting = False
        self._storm = 0
        self._fresh = False
        self._served = False
        self.rate = 106

    # --- ISO/IEC 14443-3 ---------------------------------------------------------------------------------------------

    def count_block(self) -> None:
        """Count one more block that is sent to the card."""
        self.blocks += 1

    def power(self, on: bool) -> None:
        """Give the card power, or take its power away."""
        if on and self.state == "off":
            self.state = "idle"
        elif not on and self.state != "off":
            self._let_go()
            self.state, self._was_halted = "off", False
            self._reset()
            if self.traits.fresh_uid:
                self.uid = _RANDOM_UID + sha256(self.uid).digest()[:3]

    def wakes(self, halted_too: bool) -> bool:
        """Does the card answer REQA? With `halted_too`, does the card answer WUPA?

        A selected card does not answer. The card returns to the state that it had before it was selected (ISO/IEC
        14443-3, 6.3: from ACTIVE to IDLE, from ACTIVE* to HALT).
        """
        if self.state == "active":
            self.state = "halted" if self._was_halted else "idle"
            return False
        return self.state == "idle" or (halted_too and self.state == "halted" and self.traits.wakes)

    def select(self) -> None:
        """Become the selected card, after the reader has named its UID."""
        self._was_halted = self.state == "halted"
        self.state = "active"

    def halt(self) -> None:
        """Become a halted card, after HLTA or DESELECT."""
        self._let_go()
        self.state = "halted"
        self._reset()

    def _let_go(self) -> None:
        # Until the first command, the application does not know that there is a reader.
        if self.state == "protocol" and self._served:
            self.commands.put_nowait(None)

    # --- ISO/IEC 14443-4 ---------------------------------------------------------------------------------------------

    async def receive(self, block: bytes) -> bytes | None:
        """Return the answer to one error-free block, or None if the card stays silent."""
        if self.state == "active" and block == _HLTA:
            self.halt()
            return None
        if self.state == "active" and block[0] == _RATS and len(block) == 2 and self.traits.sel_res & 0x20:
            return self._answer_to_select(block[1])
        if self.state != "protocol":
            return None
        fresh, self._fresh = self._fresh, False
        first = block[0]
        if first & 0xF0 == _PPS and fresh:
            return self._agree(block)
        if block == _DESELECT:
            self.halt()
            return _DESELECT
        if first & 0xEE == 0x02:
            return await self._information(block)
        if first & 0xEE == 0xA2 and len(block) == 1:
            return self._receive_ready(acknowledged=not first & 0x10, number=first & 1)
        if first == 0xF2 and len(block) == 2 and self._waiting:
            return await self._answer(self.traits.fwt * (self._last[1] & 0x3F))
        return None

    def _answer_to_select(self, parameter: int) -> bytes:
        self.state, self._fresh = "protocol", True
        self.activations += 1
        self._fsd = _SIZES[min(parameter >> 4, 8)]
        traits = self.traits
        body = bytes((0x70 | traits.fsci, traits.rates, traits.fwi << 4 | traits.sfgi, 0x00)) + traits.historical
        return bytes((len(body) + 1,)) + body

    def _agree(self, block: bytes) -> bytes | None:
        if len(block) != 3 or block[1] != 0x11:
            return None
        up, down = block[2] & 3, block[2] >> 2 & 3
        if up != down or (up and not (self.traits.rates >> (up - 1) & 1)):
            return None
        self.rate = 106 << up
        return block[:1]

    async def _information(self, block: bytes) -> bytes | None:
        self._number ^= 1  # rule D
        self._incoming += block[1:]
        if block[0] & 0x10:
            return self._send(bytes((0xA2 | self._number,)))
        command, self._incoming = bytes(self._incoming), bytearray()
        self.commands.put_nowait(command)
        self._served = True
        self._waiting, self._storm = True, self._wtx_storm
        return await self._answer(self.traits.fwt)

    def _receive_ready(self, acknowledged: bool, number: int) -> bytes | None:
        if number == self._number:
            return self._last or None  # rule 11
        if not acknowledged:
            return bytes((0xA2 | self._number,))  # rule 12
        self._number ^= 1  # rules E and 13
        return self._next() if self._outgoing else None

    async def _answer(self, seconds: float) -> bytes:
        """Return the application's answer if it comes in time, else a request for more time."""
        if self._storm:
            self._storm -= 1
            return self._send(bytes((0xF2, 1)))
        try:
            async with asyncio.timeout(seconds * 0.6):
                answer = await self.answers.get()
        except TimeoutError:
            return self._send(bytes((0xF2, self.traits.wtxm)))
        self._waiting = False
        size = self._fsd - 3
        self._outgoing = [answer[at : at + size] for at in range(0, len(answer), size)] or [b""]
        return self._next()

    def _next(self) -> bytes:
        piece = self._outgoing.pop(0)
        return self._send(bytes((0x02 | self._number | (0x10 if self._outgoing else 0),)) + piece)

    def _send(self, block: bytes) -> bytes:
        self._last = block
        return block
