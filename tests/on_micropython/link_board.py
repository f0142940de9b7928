"""In the link tests, MicroPython runs this program: the real `firmware.link.edge_link` for a fake lock with made-up
records.

The keys are those of `tests.support.link_keys`. Admission and the check of edge passes are real. A statement that
begins with "no" is refused. The statement "grow" adds one record, "fresh" changes a fact of the HELLO, "slow" takes a
tenth of a second, and "later" puts the clock forward by an hour.

The lock's ticks do not advance by themselves. The statement "slow" advances the ticks. A line on stdin advances the
ticks by the number of milliseconds in the line.
"""

import asyncio
import os
import sys

import bluetooth

from firmware import crypto
from firmware.hardware import ticks
from firmware.hardware.irq_flag import irq_flag
from firmware.hardware.radio import Radio
from firmware.link.admission import Admission
from firmware.link.edge_link import Link
from firmware.memory.identity import Identity
from firmware.trust.edge_passes import EdgePasses
from protocol import cbor
from protocol.link import Hello
from tests.on_micropython.memory_store import MemoryStore
from tests.support.link_keys import LinkKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from protocol.crypto import Crypto

PROTECTED = cbor.encode({1: -7, 16: "mooring/record"})
KEYS = LinkKeys(crypto)
LOCK_ID = KEYS.lock_id


def record(counter: int) -> bytes:
    """Return a record without a valid signature, because couriers do not check signatures."""
    previous = bytes(32) if counter == 1 else bytes((counter % 255 + 1,)) * 32
    payload = cbor.encode([1, LOCK_ID, counter, previous, b"\x5a" * 500])
    return cbor.encode([PROTECTED, {}, payload, bytes(64)])


class Clock:
    """A clock that stands still at the time MOORING_TEST_TIME. If this variable is not set, the clock knows no time, as
    after a cold start without a floor."""

    def __init__(self) -> None:
        self.passed = 0

    def interval(self) -> "tuple[int, int | None]":
        now = os.getenv("MOORING_TEST_TIME")
        return (int(now) + self.passed, int(now) + self.passed) if now else (0, None)


class FakeLock:
    def __init__(self, count: int) -> None:
        identity = Identity(crypto, KEYS.lock[0], KEYS.lock[0], KEYS.province[1], KEYS.link, KEYS.proof())
        self.crypto: Crypto = crypto
        self.admission = Admission(crypto, identity)
        self.clock = Clock()
        self.edge_passes = EdgePasses(crypto, MemoryStore(), identity, self.clock)  # type: ignore[arg-type]  # no flash, no crystal
        self.count = count
        self.through = 0
        self.nonce: bytes | None = None

    def hello(self) -> Hello:
        return Hello(LOCK_ID, self.count + 1, self.through, {"placement": 3}, self.nonce, KEYS.lock[1])

    def judge(self, edge_pass: bytes, edge_public: bytes) -> "tuple[str, int]":
        form = self.edge_passes.judge(edge_pass, edge_public)
        return form.edge, form.not_after

    def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
        for number in range(max(counter, self.through + 1), self.count + 1):
            yield number, record(number)

    def deliver(self, *parts: bytes) -> "tuple[str, str | None]":
        data = b"".join(parts)
        if data == b"grow":
            self.count += 1
        elif data == b"fresh":
            self.nonce = bytes(16)
        elif data == b"slow":
            TICKS.ms += 100
        elif data == b"later":
            self.clock.passed += 3600
        elif data == b"rested":
            return f"rested-{RESTED[0]}", None
        return "grant", "grant.window" if data.startswith(b"no") else None


class Ticks:
    """Milliseconds, set by the test."""

    def __init__(self) -> None:
        self.ms = 0
        ticks.now = lambda: self.ms

    async def run(self, news: "Any") -> None:
        if sys.implementation.name == "micropython":
            lines = asyncio.StreamReader(sys.stdin)  # type: ignore[arg-type]  # MicroPython's takes a stream
        else:
            lines = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(lines)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while True:
            line = await lines.readline()
            if not line:
                return
            self.ms += int(line)
            news.set()


TICKS = Ticks()
RESTED = [0]
"""Total of the link's pauses so far, in milliseconds. Pauses shorter than a tenth of a second are not counted."""
_sleep = asyncio.sleep


async def rest(seconds: float) -> None:
    if seconds >= 0.1:
        RESTED[0] += round(seconds * 1000)
    await _sleep(seconds)


asyncio.sleep = rest  # type: ignore[assignment]  # the link rests with this function


async def main() -> None:
    hostile = os.getenv("MOORING_RADIO_HOSTILE")
    if hostile:
        from sim.board import hostile_radio

        hostile_radio.plant(int(hostile))
    lock = FakeLock(int(os.getenv("MOORING_TEST_RECORDS") or "0"))
    news = irq_flag()
    link = Link(Radio(bluetooth.BLE()), lock, news)
    news.set()
    print("ready")
    await asyncio.gather(link.run(), TICKS.run(news))


asyncio.run(main())
