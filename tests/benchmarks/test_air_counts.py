"""What a check-in over NFC puts on the air and on the line to the chip, the time that implies, and the floor."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from firmware.nfc.hsu import Hsu
from firmware.nfc.pn532 import Pn532Reader
from firmware.nfc.pn532_chip import Pn532
from firmware.reader import read_mdoc
from protocol import crypto_cpython as crypto
from sim import issuer
from sim.nfc.antenna import CRC_SIZE, FRAME_DELAY, seconds_on_air
from sim.nfc.card import Traits
from sim.phone.applet import Habits
from sim.phone.phone import Phone
from tests import tap
from tests.firmware import pn532_scene as scene

_ITEMS = {issuer.MDL: tap.ITEMS[issuer.MDL]}


@dataclass
class Measured:
    """One check-in, from the card's activation to the farewell's answer."""

    apdus: int
    frames: int
    out: int
    back: int
    line: int
    seconds: float
    apdu_bytes: int

    def on_air(self, rate: int) -> float:
        """Milliseconds on the air alone: every bit, and the pause that the standard sets between two frames."""
        size = (self.out + self.back) / self.frames
        return (
            1000
            * self.frames
            * (seconds_on_air(1, rate) + seconds_on_air(int(size), rate) * (size - 1) / size + FRAME_DELAY)
        )


def measure(phone: Phone, items: Any = _ITEMS, baudrate: int = 921600, rate: int = 106) -> Measured:
    """A read with everything paced, on virtual time."""

    async def story() -> Measured:
        async with scene.board(paced=True, traits=Traits(rates=0x33)) as board:
            reader = Pn532Reader(Hsu(scene.Uart(board)), baudrate, rate)
            guest = asyncio.create_task(phone.tap(board))
            card = await reader.wait_for_card()
            counts, line, began = board.antenna.counts, board.line, scene.now()
            before = line.bytes_to_chip + line.bytes_from_chip
            private, chain = tap.reader_key()[0], list(tap.reader_chain())
            shown = await read_mdoc(card, crypto, items, private, chain, mark=lambda event, **facts: None)
            measured = Measured(
                shown.round_trips,
                counts.frames,
                counts.bytes_out,
                counts.bytes_in,
                line.bytes_to_chip + line.bytes_from_chip - before,
                scene.now() - began,
                shown.sent + shown.received,
            )
            await card.release()
            await guest
            return measured

    return scene.run(story())


def measure_own_frames(habits: Habits) -> Measured:
    """The same read with the chip doing ISO-DEP by itself, in frames of 64 bytes."""
    _, direct = tap.touch(tap.phone(habits=habits), max_command=255, max_response=256)
    private, chain = tap.reader_key()[0], list(tap.reader_chain())
    tap.run(read_mdoc(direct, crypto, _ITEMS, private, chain, mark=lambda event, **facts: None))

    async def story() -> Measured:
        async with scene.board() as board:
            chip = Pn532(scene.wire(board))
            await chip.start()
            await chip.command(0x12, b"\x10")  # SetParameters: automatic RATS
            card = board.card(b"\x08abc")
            board.antenna.bring(card)
            await chip.command(0x4A, b"\x01\x00")
            for command, response in direct.exchanges:
                card.answers.put_nowait(response)
                await chip.command(0x40, b"\x01" + command[:262])
            counts = board.antenna.counts
            size = sum(len(command) + len(response) for command, response in direct.exchanges)
            return Measured(len(direct.exchanges), counts.frames, counts.bytes_out, counts.bytes_in, 0, 0, size)

    return scene.run(story())


@pytest.mark.bench
def test_the_cost_of_a_check_in_on_the_air() -> None:
    short = Habits(max_command=255, max_response=256)
    large = {issuer.MDL: {"org.iso.18013.5.1": ["portrait"]}}
    nine = tap.credential(issuer.MDL, portrait=7500)
    cases = {
        "check-in": measure(tap.phone()),
        "short APDUs": measure(tap.phone(habits=short)),
        "deviceMac": measure(tap.phone(authentication="mac")),
        "short, chip's own": measure_own_frames(short),
        "9 KB": measure(tap.phone(nine), large),
        "9 KB, short": measure(tap.phone(nine, habits=short), large),
    }
    print(
        f"\n{'over NFC':<18}{'APDUs':>6}{'frames':>7}{'out B':>7}{'back B':>7}{'106 ms':>8}{'424 ms':>8}{'line B':>8}"
    )
    for name, one in cases.items():
        print(
            f"{name:<18}{one.apdus:>6}{one.frames:>7}{one.out:>7}{one.back:>7}"
            f"{one.on_air(106):>8.0f}{one.on_air(424):>8.0f}{one.line:>8}"
        )
    print(f"\n{'whole read, ms':<26}{'115200 Bd':>10}{'921600 Bd':>10}   (cryptography takes no time here)")
    for rate in (106, 212, 424):
        slow, fast = (measure(tap.phone(), baudrate=baudrate, rate=rate) for baudrate in (115200, 921600))
        print(f"{f'at {rate} kbit/s on the air':<26}{slow.seconds * 1000:>10.0f}{fast.seconds * 1000:>10.0f}")
    one = cases["check-in"]
    # What cannot be left out: each APDU's bytes in as few blocks of 253 bytes as hold them, every block but the last of
    # its APDU acknowledged. RATS and its answer come on top, once.
    frames = least_frames(tap.phone())
    floor = Measured(one.apdus, frames, one.apdu_bytes + frames * (1 + CRC_SIZE), 0, 0, 0, 0)
    print(f"\nfloor for a check-in's APDUs: {frames} frames, {floor.on_air(106):.0f} ms; ours: {one.frames}, with RATS")


def least_frames(phone: Phone) -> int:
    """Blocks for the APDUs of a read, counted from their lengths."""
    _, direct = tap.touch(phone)
    private, chain = tap.reader_key()[0], list(tap.reader_chain())
    tap.run(read_mdoc(direct, crypto, _ITEMS, private, chain, mark=lambda event, **facts: None))
    return sum(2 * -(-len(command) // 253) + 2 * -(-len(response) // 253) - 2 for command, response in direct.exchanges)
