"""A real lock process with a radio and an NFC reader, and guests whose phones have Bluetooth."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bleak import BleakClient
from bleak.exc import BleakError

from protocol import crypto_cpython as crypto
from protocol.mdoc.verifier import verify
from sim import issuer
from sim.board import interpreter
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.ble import BleHabits, PhoneBluetooth
from sim.phone.phone import Phone, TapOutcome
from sim.radio import bleak_backend
from sim.radio.air import Air
from sim.radio.lock_radio import LockRadio
from tests.support import tap
from tests.support.radio_world import ADDRESS

BOARD = interpreter.ROOT / "tests" / "on_micropython" / "ble_board.py"
ECHO = "4d6f6f72-0000-0000-0000-0000000000e1"
ITEMS = {issuer.MDL: tap.ITEMS[issuer.MDL]}


@dataclass
class Read:
    """The lock's result of one tap: an error code or the verified elements, and the facts of each phase."""

    code: str | None
    elements: dict[str, dict[str, Any]]
    marks: dict[str, dict[str, Any]]
    response: bytes = b""
    ms: int = 0


@dataclass
class BleWorld:
    """One lock, the air and the NFC reader."""

    air: Air
    hci: str
    reader: VirtualPn532
    process: asyncio.subprocess.Process
    phones: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    async def phone(self, *modes: Any, habits: BleHabits | None = None, **settings: Any) -> Phone:
        """Return a phone in this process that offers the BLE `modes`. By default, the phone has no NFC retrieval."""
        self.phones += 1
        address = f"E2:00:00:00:00:{self.phones:02X}"
        controller = self.air.controller(f"phone-{self.phones}", address)
        radio = await PhoneBluetooth.attach(controller, controller, address, habits or BleHabits())
        credentials = settings.pop("credentials", [])
        return tap.phone(*credentials, ble_modes=frozenset(modes), radio=radio, **{"nfc": False, **settings})

    async def line(self) -> dict[str, Any]:
        """Return the next line that the lock prints."""
        assert self.process.stdout is not None
        raw = await self.process.stdout.readline()
        assert raw, "the lock ended"
        try:
            said: dict[str, Any] = json.loads(raw)
        except ValueError:
            said = {"console": raw.decode()}
        self.log.append(said)
        return said

    async def heard(self, mark: str) -> None:
        """Wait until the lock reports the phase `mark`."""
        while (await self.line()).get("mark") != mark:
            pass

    async def limit(self, **limits: int | None) -> None:
        """Change constants of `firmware.mdoc_ble.session` in the lock for later taps. None restores the usual value."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(limits).encode() + b"\n")
        while "limits" not in await self.line():
            pass

    async def read(self) -> Read:
        """Return the lock's result of the current tap."""
        while "read" not in (said := await self.line()):
            pass
        if isinstance(said["read"], str):
            return Read(said["read"], {}, said["marks"], ms=said["ms"])
        response, transcript, private = (bytes.fromhex(value) for value in said["read"])
        now = int(time.time())
        (document,) = verify(
            crypto, response, transcript, [tap.iaca(issuer.MDL).der], now=(now, now), e_reader_private=private
        )
        return Read(None, document.elements, said["marks"], response, said["ms"])

    async def tapped(self, phone: Phone, **tapping: Any) -> tuple[Read, TapOutcome]:
        """Tap once. Return the lock's result and the phone's result."""
        outcome, read = await asyncio.gather(phone.tap(self.reader, **tapping), self.read())
        return read, outcome


@asynccontextmanager
async def ble_world(
    items: dict[str, Any] = ITEMS,
    carrier: str = "nfc",
    hostile: int | None = None,
) -> AsyncIterator[BleWorld]:
    """Yield a lock that has booted and serves taps.

    `hostile` is the random seed of a radio that reports its events at bad moments.
    """
    air = Air(advertising_scale=0.1)
    reader = VirtualPn532(looks_between=8)
    lock = interpreter.find()
    given = {
        "private": tap.reader_key()[0].hex(),
        "chain": [der.hex() for der in tap.reader_chain()],
        "items": items,
        "carrier": carrier,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "reader.json")
        file.write_text(json.dumps(given))  # noqa: ASYNC240  a few hundred bytes, before anything runs
        radio = LockRadio(air, ADDRESS)
        async with radio.listening(), air.serving_hci() as hci:
            uart = await reader.start()
            extra = {"MOORING_RADIO": radio.endpoint, "MOORING_UART1": uart, "MOORING_TEST_READER": str(file)}
            if hostile is not None:
                extra["MOORING_RADIO_HOSTILE"] = str(hostile)
            process = await asyncio.create_subprocess_exec(
                *lock.command(BOARD),
                env=lock.environment(extra),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
            )
            world = BleWorld(air, hci, reader, process)
            try:
                while "ready" not in await world.line():
                    pass
                yield world
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
                await reader.stop()


class EchoEdge:
    """An edge that reconnects after each disconnection, as the edge agent does."""

    def __init__(self) -> None:
        self.arrivals = 0
        self.connected = asyncio.Event()
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._client: BleakClient | None = None

    async def run(self) -> None:
        """Keep the connection up until this task is cancelled."""
        while True:
            gone = self._gone = asyncio.Event()

            def leave(_: BleakClient, gone: asyncio.Event = gone) -> None:
                gone.set()

            with suppress(BleakError):
                async with BleakClient(ADDRESS, disconnected_callback=leave) as client:
                    await client.start_notify(ECHO, lambda _, value: self._answers.put_nowait(bytes(value)))
                    self._client = client
                    self.arrivals += 1
                    self.connected.set()
                    await gone.wait()
                    self.connected.clear()

    async def echo(self, data: bytes) -> bytes:
        """Send `data` to the lock, and return its echo. Raises BleakError if the connection ends before the echo."""
        await self.connected.wait()
        assert self._client is not None
        await self._client.write_gatt_char(ECHO, data, response=True)
        answer, end = asyncio.ensure_future(self._answers.get()), asyncio.ensure_future(self._gone.wait())
        await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if answer.done():
            return answer.result()
        answer.cancel()
        raise BleakError("the connection ended before the answer")


@asynccontextmanager
async def edge_beside(world: BleWorld) -> AsyncIterator[EchoEdge]:
    """Yield an edge that is connected to the lock over the same air."""
    controller = world.air.controller("edge", "C0:00:00:00:00:99")
    adapter = await bleak_backend.Adapter.attach(controller, controller, "C0:00:00:00:00:99")
    with bleak_backend.install(adapter):
        edge = EchoEdge()
        running = asyncio.create_task(edge.run())
        try:
            await edge.connected.wait()
            yield edge
        finally:
            running.cancel()
            await asyncio.wait({running})
