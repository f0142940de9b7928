"""The cost of a check-in over NFC, over BLE and on the line to the chip: frames, bytes, round trips and time.

Frames, bytes and round trips are counted. Times are computed from these counts, because real waits depend on the
machine that runs the test. Cryptography takes no time here. Each table ends with the theoretical minimum.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from firmware.nfc.hsu import Hsu
from firmware.nfc.pn532 import Pn532Reader
from firmware.nfc.pn532_chip import Pn532
from protocol import parts
from protocol.profile import Profile
from sim import issuer
from sim.nfc.antenna import CRC_SIZE, FRAME_DELAY, seconds_on_air
from sim.nfc.card import Traits
from sim.phone.applet import Habits
from sim.phone.ble import BleHabits
from sim.phone.engagement import Mode
from sim.phone.phone import Phone
from sim.province.registry import PROFILES
from tests.benchmarks.rv32 import budget
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.ble_world import BleWorld, ble_world

_CN = Profile.parse(PROFILES["CN"])
_ORDER = [_CN.request(types) for types in _CN.requests]
_FIRST, _SECOND, _FOURTH = _ORDER[:1], _ORDER[:2], _ORDER[:4]
"""The requests in one session. The wallet has the document type that is the first, the second or the fourth in the
order of requests.
"""
_ITEMS = [_CN.request([issuer.MDL])]
_REST = [_CN.request([doc_type for types in _CN.requests[1:] for doc_type in types])]
"""A request for all types at once, except the first type. This request is sent at the second tap if the wallet has
ended the first session early.
"""


@dataclass
class Measured:
    """The counts of one check-in, from the activation of the card to the answer to the last message."""

    apdus: int
    frames: int
    out: int
    back: int
    line: int
    seconds: float
    apdu_bytes: int

    def on_air(self, rate: int) -> float:
        """Return the milliseconds that all bits and the prescribed pauses between frames take on the air."""
        size = (self.out + self.back) / self.frames
        return (
            1000
            * self.frames
            * (seconds_on_air(1, rate) + seconds_on_air(int(size), rate) * (size - 1) / size + FRAME_DELAY)
        )


def measure(phone: Phone, requests: Any = _ITEMS, baudrate: int = 921600, rate: int = 106) -> Measured:
    """Measure a read at real speeds, in virtual time."""

    async def story() -> Measured:
        async with scene.board(paced=True, traits=Traits(rates=0x33)) as board:
            reader = Pn532Reader(Hsu(scene.Uart(board)), baudrate, rate)
            guest = asyncio.create_task(phone.tap(board))
            card = await reader.wait_for_card()
            counts, line, began = board.antenna.counts, board.line, scene.now()
            before = line.bytes_to_chip + line.bytes_from_chip
            shown = await tap.read_mdoc(card, *requests)
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
    """Measure the same read, but with a chip that does ISO-DEP by itself, in frames of 64 bytes."""
    _, direct = tap.touch(tap.phone(habits=habits), max_command=255, max_response=256)
    tap.run(tap.read_mdoc(direct, *_ITEMS))

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
    large = [{issuer.MDL: {"org.iso.18013.5.1": ["portrait"]}}]
    nine = tap.credential(issuer.MDL, portrait=7500)
    resident, pid = (tap.phone(tap.credential(doc_type)) for doc_type in (issuer.RESIDENT_ID, issuer.PID))
    cases = {
        "resident e-ID, 1st": measure(resident, _FIRST),
        "licence, 2nd": measure(tap.phone(), _SECOND),
        "EU PID, 4th": measure(pid, _FOURTH),
        "all but the 1st": measure(tap.phone(), _REST),
        "licence alone": measure(tap.phone()),
        "short APDUs": measure(tap.phone(habits=short)),
        "negotiated": measure(tap.phone(negotiates=True)),
        "deviceMac": measure(tap.phone(authentication="mac")),
        "chip's own": measure_own_frames(short),
        "9 KB": measure(tap.phone(nine), large),
        "9 KB, short": measure(tap.phone(nine, habits=short), large),
    }
    columns = f"{'round trips':>12}{'frames':>7}{'out B':>7}{'back B':>7}{'106 ms':>8}{'424 ms':>8}{'line B':>8}"
    print(f"\n{'over NFC':<18}{columns}")
    for name, one in cases.items():
        print(
            f"{name:<18}{one.apdus:>12}{one.frames:>7}{one.out:>7}{one.back:>7}"
            f"{one.on_air(106):>8.0f}{one.on_air(424):>8.0f}{one.line:>8}"
        )
    print(f"\n{'whole read, ms':<26}{'115200 Bd':>10}{'921600 Bd':>10}   (cryptography takes no time here)")
    for rate in (106, 212, 424):
        slow, fast = (measure(tap.phone(), _ITEMS, baudrate, rate) for baudrate in (115200, 921600))
        print(f"{f'at {rate} kbit/s on the air':<26}{slow.seconds * 1000:>10.0f}{fast.seconds * 1000:>10.0f}")
    one = cases["licence alone"]
    # The minimum has as few blocks of 253 bytes as possible for each APDU. Every block of an APDU except the last one
    # is acknowledged. RATS and its answer are not included.
    frames = least_frames(tap.phone())
    floor = Measured(one.apdus, frames, one.apdu_bytes + frames * (1 + CRC_SIZE), 0, 0, 0, 0)
    print(f"\nfloor for a check-in's APDUs: {frames} frames, {floor.on_air(106):.0f} ms; ours: {one.frames}, with RATS")
    print(f"a type asked for in vain before it: {cases['licence, 2nd'].on_air(106) - one.on_air(106):.0f} ms")
    print(
        "floor of round trips: 9. Six for the tag as its standard has them, one to select the mdoc, one for request and"
    )
    print(
        "response (extended APDUs both ways), one to say that it is over. A door asks for a stay key before all that,"
    )
    print("which is one more.")
    assert one.frames <= frames + 2 and one.apdus == 9
    # docs/performance.md computes with this number.
    assert cases["resident e-ID, 1st"].on_air(106) == pytest.approx(budget.CHECK_IN_NFC_MS, rel=0.03)


def least_frames(phone: Phone) -> int:
    """Return the number of blocks for the APDUs of a read, computed from the lengths of the APDUs."""
    _, direct = tap.touch(phone)
    tap.run(tap.read_mdoc(direct, *_ITEMS))
    return sum(2 * -(-len(command) // 253) + 2 * -(-len(response) // 253) - 2 for command, response in direct.exchanges)


# --- BLE -------------------------------------------------------------------------------------------------------------

_REQUESTS = {0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x10, 0x12}
"""ATT opcodes of requests. The next request must wait for the answer to the previous request."""
_LONGEST_PACKET = 251
_PACKET_MS = (_LONGEST_PACKET + 14) * 8 / 1000 + 0.15 + 0.08 + 0.15
"""Time for a full data packet at 1 Mbit/s, a pause, the empty packet that acknowledges the data packet, and a pause
(Core, Vol 6, Part B)."""


@dataclass
class OnBle:
    """The counts of one read over BLE. `requests` is the number of ATT requests; `parts_out` and `parts_back` are the
    numbers of parts to and from the phone. `size` is the number of bytes in all ATT packets with their L2CAP headers.
    """

    mtu: int
    requests: int
    parts_out: int
    parts_back: int
    size: int

    @property
    def packets(self) -> int:
        """Number of link layer packets for the parts only. The phone's parts are as long as possible."""
        ours, theirs = parts.part_size(self.mtu), min(self.mtu - 3, parts.LONGEST_PART)
        return sum(
            count * -(-(size + 7) // _LONGEST_PACKET)
            for count, size in ((self.parts_out, ours), (self.parts_back, theirs))
        )

    def milliseconds(self, interval_ms: int, requests: int | None = None) -> float:
        """Return the time in milliseconds. A request and its response take one connection interval. As many parts as
        possible share one interval."""
        asked = self.requests if requests is None else requests
        return interval_ms * (asked + -(-self.packets // max(1, int(interval_ms / _PACKET_MS))))


_FLOOR = {"central": 8, "peripheral": 7}
"""Minimum number of requests, by the phone's mode. The requests are: MTU, service, characteristics, one descriptor for
each of the two characteristics that notify, two subscriptions, and also Ident if the phone is the client."""


async def _on_ble(world: BleWorld, mode: Mode, mtu: int) -> OnBle:
    world.air.heard = {}
    phone = await world.phone(mode, habits=BleHabits(mtu=mtu))
    read, _ = await world.tapped(phone)
    assert read.code is None
    heard = world.air.heard
    way_out, way_back = (0x1B, 0x52) if mode == "central" else (0x52, 0x1B)
    requests = sum(packets for opcode, (packets, _) in heard.items() if opcode in _REQUESTS)
    size = sum(size for _, size in heard.values())
    return OnBle(mtu, requests, heard[way_out][0], heard[way_back][0], size)


@pytest.mark.bench
def test_the_cost_of_a_check_in_over_ble() -> None:
    async def story() -> None:
        async with ble_world(_ITEMS[0]) as world:
            columns = f"{'requests':>10}{'parts':>10}{'bytes':>7}{'15 ms':>7}{'floor':>7}{'30 ms':>7}{'floor':>7}"
            print(f"\n{'over BLE':<24}{'MTU':>5}{columns}")
            modes: list[Mode] = ["central", "peripheral"]
            for mode in modes:
                for mtu in (515, 247, 185, 23):
                    one, least = await _on_ble(world, mode, mtu), _FLOOR[mode]
                    parts = f"{one.parts_out}+{one.parts_back}"
                    name = "the lock is the server" if mode == "central" else "the lock is the client"
                    times = "".join(
                        f"{one.milliseconds(interval):>7.0f}{one.milliseconds(interval, least):>7.0f}"
                        for interval in (15, 30)
                    )
                    print(f"{name:<24}{mtu:>5}{one.requests:>10}{parts:>10}{one.size:>7}{times}")
                    # Two discoveries need one more request each, to learn that there are no more results. At MTU 23,
                    # the results do not fit into one answer, so more requests are needed.
                    assert one.requests <= least + (2 if mtu > 23 else 5)
                    if (mode, mtu) == ("central", 515):
                        assert one.milliseconds(15) == pytest.approx(budget.CHECK_IN_BLE_MS, rel=0.1)

    asyncio.run(story())
    print("times are ms at that connection interval, from the connection on: finding each other comes before, and the")
    print(
        "six round trips of the engagement over NFC. The floor has the same parts, which are as few as the MTU allows,"
    )
    least = f"{_FLOOR['central']} requests with the lock as server, {_FLOOR['peripheral']} as client"
    print(f"and {least}. Ours are two more: discovery of services and")
    print("characteristics asks once more each, to hear that there is no more.")
