"""A simulated air with one lock on the real interpreter and an adapter for bleak, for tests of the edge link."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sim.board import interpreter
from sim.radio import bleak_backend
from sim.radio.air import Air
from sim.radio.lock_radio import LockRadio

ADDRESS = "F0:00:00:00:00:01"
BOARD = interpreter.ROOT / "tests" / "on_micropython" / "link_board.py"


@dataclass
class RadioWorld:
    """One lock, one adapter, and the air between them."""

    air: Air
    radio: LockRadio
    adapter: bleak_backend.Adapter
    process: asyncio.subprocess.Process | None = None

    async def boot(self, records: int = 0, runtime: str = "micropython", **settings: str) -> None:
        """Start the lock with `records` in its journal, and wait until it advertises."""
        lock = interpreter.find(runtime)
        extra = {"MOORING_RADIO": self.radio.endpoint, "MOORING_TEST_RECORDS": str(records), **settings}
        self.process = await asyncio.create_subprocess_exec(
            *lock.command(BOARD), env=lock.environment(extra), stdin=asyncio.subprocess.PIPE
        )
        await self.radio.on_air.wait()

    async def ticks_pass(self, until: asyncio.Event) -> None:
        """Advance the lock's ticks, one second at a time, until the event `until` is set. Otherwise the ticks stand
        still.
        """
        assert self.process is not None and self.process.stdin is not None
        waiting = asyncio.ensure_future(until.wait())
        while not until.is_set():
            self.process.stdin.write(b"1000\n")
            await asyncio.wait({waiting}, timeout=0.05)

    async def another_adapter(self, number: int) -> bleak_backend.Adapter:
        """Return the radio of another edge. Each radio can have only one connection to the same address."""
        address = f"C1:00:00:00:00:{number:02X}"
        controller = self.air.controller(f"edge-{number}", address)
        return await bleak_backend.Adapter.attach(controller, controller, address)

    async def kill(self) -> None:
        """Switch off the lock's power."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def radio_world() -> AsyncIterator[RadioWorld]:
    """Yield a simulated air with the radio of a lock. The lock has not booted yet."""
    air = Air(advertising_scale=0.1)
    radio = LockRadio(air, ADDRESS)
    async with radio.listening():
        controller = air.controller("edge", "C0:00:00:00:00:99")
        adapter = await bleak_backend.Adapter.attach(controller, controller, "C0:00:00:00:00:99")
        world = RadioWorld(air, radio, adapter)
        with bleak_backend.install(adapter):
            try:
                yield world
            finally:
                await world.kill()
