"""A driver and a virtual PN532 in one process, on a virtual clock that jumps from event to event."""

import asyncio
import selectors
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from firmware.mdoc_reader.reader import Presentation
from firmware.nfc.pn532 import Pn532Card, Pn532Reader
from protocol import crypto_cpython as crypto
from protocol.mdoc.verifier import VerifiedDocument, verify
from sim import issuer
from sim.board import cpython_runtime
from sim.nfc.faults import Faults
from sim.nfc.stream_line import StreamLine
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.phone import Phone
from tests.support import chip_ticks, tap

T = TypeVar("T")


class _NoWaiting(selectors.DefaultSelector):
    """Polls without waiting, and moves the clock by the time that it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for an event that will never come"
            self.passed += max(timeout, 0)
        return ready


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose `time` starts at 0 and jumps to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.passed


def run(story: Coroutine[Any, Any, T], seconds: float = 600) -> T:
    """Run `story` on virtual time, for at most `seconds`. The lock's ticks follow the virtual time."""
    loop = VirtualTime()
    with (
        pytest.MonkeyPatch.context() as patch,
        cpython_runtime.installed(),
        # The runner ends before the patch ends, because cancelled tasks wait too.
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        chip_ticks.stand_in(patch, lambda: round(loop.time() * 1000))
        return runner.run(asyncio.wait_for(story, seconds))


def now() -> float:
    """Return the virtual time in seconds."""
    return asyncio.get_running_loop().time()


@dataclass
class Uart:
    """Replaces `machine.UART` for the driver. Bytes arrive as noise if the UART and the chip have different speeds."""

    board: VirtualPn532
    baudrate: int = 115200
    received: bytearray = field(default_factory=bytearray)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    speeds: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.board.attach(self._take)

    def _take(self, data: bytes) -> None:
        # The chip answers SetSerialBaudRate before it changes its speed. So `data` was sent at the present speed of the
        # chip.
        self.received += data if self.baudrate == self.board.chip.baudrate else b"\xa5" * len(data)
        self.arrived.set()

    async def readable(self) -> None:
        """Return once there is data to read."""
        await self.arrived.wait()

    def init(self, baudrate: int) -> None:
        self.baudrate = baudrate
        self.speeds.append(baudrate)

    def read(self, size: int) -> bytes | None:
        taken = bytes(self.received[:size])
        del self.received[:size]
        if not self.received:
            self.arrived.clear()
        return taken or None

    def write(self, data: bytes) -> None:
        self.board.hear(bytes(data), self.baudrate)

    def flush(self) -> None:
        pass


def wire(board: VirtualPn532) -> StreamLine:
    """Return a line to `board`. The speed of this line does not matter."""
    incoming = asyncio.StreamReader()
    board.attach(incoming.feed_data)
    return StreamLine(incoming, board.hear)


@asynccontextmanager
async def board(faults: Faults | None = None, **settings: Any) -> AsyncIterator[VirtualPn532]:
    """Yield a virtual PN532. The board is switched off at the end of the block."""
    virtual = VirtualPn532(faults, **settings)
    try:
        yield virtual
    finally:
        await virtual.stop()


@asynccontextmanager
async def reader(faults: Faults | None = None, **settings: Any) -> AsyncIterator[tuple[Pn532Reader, VirtualPn532]]:
    """Yield a driver and its virtual PN532."""
    async with board(faults, **settings) as virtual:
        yield Pn532Reader(wire(virtual)), virtual


async def until(condition: Callable[[], bool], step: float = 0.005) -> None:
    """Let virtual time pass until `condition` is true."""
    while not condition():  # noqa: ASYNC110  time is virtual, and the condition nobody's event
        await asyncio.sleep(step)


# --- taps -------------------------------------------------------------------------------------------------------------

LICENCE = {issuer.MDL: tap.ITEMS[issuer.MDL]}


def silent(event: str, **facts: object) -> None:
    pass


def verified(presentation: Presentation) -> list[VerifiedDocument]:
    now = int(time.time())
    return verify(
        crypto,
        presentation.device_response,
        presentation.session_transcript,
        [tap.iaca(issuer.MDL).der],
        now=(now, now),
        e_reader_private=presentation.e_reader_private,
    )


async def read(card: Pn532Card, items: Any = LICENCE) -> Presentation:
    """Read a document from `card`, and then release the card, as the lock does."""
    try:
        return await tap.read_mdoc(card, items)
    finally:
        await card.release()


async def visit(reader: Pn532Reader, board: VirtualPn532, phone: Phone, items: Any = LICENCE) -> Any:
    """Tap once. Return (what the reader received, the phone's result)."""
    guest = asyncio.create_task(phone.tap(board))
    presentation = await read(await reader.wait_for_card(), items)
    return presentation, await guest


def one_visit(phone: Phone, faults: Faults | None = None, items: Any = LICENCE, **settings: Any) -> Any:
    async def story() -> Any:
        async with reader(faults, **settings) as (driver, virtual):
            return await visit(driver, virtual, phone, items)

    return run(story())


async def nobody_for(reader: Pn532Reader, seconds: float) -> None:
    """Check that the reader reports no card for `seconds`."""
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.wait_for_card(), seconds)
