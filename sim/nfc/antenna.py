"""The air between chip and cards: the cards in the field, and the frames with their timing and their faults."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from sim.nfc.card import Card
from sim.nfc.faults import Chance, Faults

FRAME_DELAY = 1236 / 13_560_000
"""Seconds between a frame of the reader and the card's answer (frame delay time, ISO/IEC 14443-3, 6.2.1.1)."""
CRC_SIZE = 2
ISO_DEP = 0x20
HLTA = b"\x50\x00"


def crc_a(data: bytes) -> bytes:
    """Return the CRC_A in the byte order of the air (ISO/IEC 14443-3, annex B)."""
    value = 0x6363
    for byte in data:
        byte ^= value & 0xFF
        byte ^= byte << 4 & 0xFF
        value = value >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
    return value.to_bytes(2, "little")


def seconds_on_air(size: int, rate: int = 106) -> float:
    """Return the seconds that a frame of `size` bytes (with CRC) takes.

    Each byte takes nine bits. The start and the end of the frame take one bit each.
    """
    return (9 * size + 2) / (rate / 106 * 13_560_000 / 128)


@dataclass
class Counts:
    """Frames and bytes on the air since `reset`.

    Bytes include the CRC. Frames of the activation up to SELECT are not counted.
    """

    looks: int = 0
    frames_out: int = 0
    frames_in: int = 0
    bytes_out: int = 0
    bytes_in: int = 0

    @property
    def frames(self) -> int:
        """Number of frames in both directions."""
        return self.frames_out + self.frames_in


class Antenna:
    """The field and the cards in it.

    If `paced` is true, everything takes as long as on real air. The chip waits `lingers` seconds for a card before it
    reports an empty field. With this wait, many idle readers take little CPU time.
    """

    def __init__(self, faults: Faults, chance: Chance, paced: bool, lingers: float = 0.0) -> None:
        self.field = False
        self.cards: list[Card] = []
        self.counts = Counts()
        self.empty_looks = 0
        """How many times in a row the chip has looked for a card while no phone was in the field. Stickers and other
        tags do not count as phones.
        """
        self.announced: list[bytes] = []
        """The undamaged frames that were sent while no phone was in the field, without their CRC. A real phone may wait
        for such frames.
        """
        self.looked = asyncio.Condition()
        self.faults = faults
        self.chance = chance
        self._paced = paced
        self._lingers = lingers
        self._brought = asyncio.Event()
        self._talking: dict[Card, asyncio.Task[bytes | None]] = {}

    def go_wrong(self, faults: Faults, chance: Chance) -> None:
        """From now on, use other faults, and another source of chance."""
        self.faults, self.chance = faults, chance

    def forget_looks(self) -> None:
        """Set the number of looks at an empty field to zero."""
        self.empty_looks = 0

    def switch(self, on: bool) -> None:
        """Switch the field on or off."""
        self.field = on
        for card in self.cards:
            card.power(on)

    def bring(self, card: Card) -> None:
        """Bring a card into the field."""
        self.cards.append(card)
        self._brought.set()
        card.power(self.field)

    def take(self, card: Card) -> None:
        """Take a card away."""
        if card in self.cards:
            self.cards.remove(card)
            card.power(False)
            card.commands.put_nowait(None)
            if not self.cards:
                self._brought.clear()
            if not self.phones():
                self.empty_looks = 0

    def phones(self) -> list[Card]:
        """The cards in the field that speak ISO/IEC 14443-4, as phones do."""
        return [card for card in self.cards if card.traits.sel_res & ISO_DEP]

    async def linger(self) -> None:
        """If the field is empty, wait up to `lingers` seconds for a card."""
        if self._lingers and not self.cards:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lingers):
                    await self._brought.wait()

    async def look(self, halted_too: bool = False, uid: bytes | None = None) -> Card | None:
        """Look for cards, and select the card with `uid`. Without `uid`, select the card with the lowest UID."""
        self.switch(True)
        self.counts.looks += 1
        if self._paced:
            await asyncio.sleep(0.003)
        awake = [card for card in self.cards if card.wakes(halted_too) and uid in (None, card.uid)]
        missed = not awake or self.chance.strikes(self.faults.air_lost)
        if missed or not self.phones():
            async with self.looked:
                self.empty_looks = 0 if self.phones() else self.empty_looks + 1
                self.looked.notify_all()
        if missed:
            return None
        chosen = min(awake, key=lambda card: card.uid)
        chosen.select()
        return chosen

    async def exchange(self, block: bytes, seconds: float | None, rate: int) -> bytes | None:
        """Send a block.

        Returns the answer, or None if the answer is damaged. Raises TimeoutError after `seconds` of silence.
        """
        answer = await self.send(block + crc_a(block), seconds, rate)
        return None if answer is None else answer[:-CRC_SIZE]

    async def send(self, frame: bytes, seconds: float | None, rate: int) -> bytes | None:
        """Do the same as `exchange`, but `frame` and the answer include their CRC."""
        self.counts.frames_out += 1
        self.counts.bytes_out += len(frame)
        if self._paced:
            await asyncio.sleep(seconds_on_air(len(frame), rate) + FRAME_DELAY)
        block = frame[:-CRC_SIZE]
        whole = self.field and frame[-CRC_SIZE:] == crc_a(block)
        if whole and not self.phones() and block != HLTA:
            self.announced.append(block)
        async with asyncio.timeout(seconds):
            answer = await (self._heard(block, rate) if whole else _silence())
        self.counts.frames_in += 1
        self.counts.bytes_in += len(answer) + CRC_SIZE
        if self._paced:
            await asyncio.sleep(seconds_on_air(len(answer) + CRC_SIZE, rate) + FRAME_DELAY)
        return None if self.chance.strikes(self.faults.air_damaged) else answer + crc_a(answer)

    async def _heard(self, block: bytes, rate: int) -> bytes:
        """Return the answer of a card. Wait for ever if no answer comes."""
        card = next((card for card in self.cards if card.state in ("active", "protocol")), None)
        damaged = self.chance.strikes(self.faults.air_lost) or self.chance.strikes(self.faults.air_damaged)
        if card is not None and card.rate == rate and card not in self._talking and not damaged:
            card.count_block()
            if self.faults.tear_off_at is not None and card.blocks > self.faults.tear_off_at:
                self.take(card)
            # A card finishes its work even if the chip no longer listens.
            task = asyncio.create_task(card.receive(block))
            self._talking[card] = task
            task.add_done_callback(lambda _: self._talking.pop(card, None))
            answer = await asyncio.shield(task)
            if answer is not None and card in self.cards and not self.chance.strikes(self.faults.air_lost):
                return answer
        return await _silence()

    async def close(self) -> None:
        """Cancel the work that cards are still doing."""
        for task in list(self._talking.values()):
            task.cancel()
        await asyncio.gather(*self._talking.values(), return_exceptions=True)


async def _silence() -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("an event that nobody sets")
