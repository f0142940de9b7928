"""The interface to the phone's Bluetooth in another process, `sim.phone.ble_main`."""

import asyncio
import itertools
import json
import sys
from typing import Any

from protocol.errors import TransportError
from sim.board.interpreter import ROOT
from sim.phone.ble import BleHabits, BleJob

_NUMBERS = itertools.count(1)
_ENDED: dict[str, Any] = {"done": ""}


class BleProcess:
    """A `sim.phone.ble.BleLine` on the air that serves HCI at `hci`. The object is used as an async context.

    `mtu` and `parts` (numbers of parts received and sent) are values of the latest session.
    """

    def __init__(self, hci: str, habits: BleHabits | None = None) -> None:
        self._hci = hci
        self._habits = habits or BleHabits()
        number = next(_NUMBERS)
        self.address = f"E1:00:00:00:{number >> 8:02X}:{number & 255:02X}"
        self.moved = (0, 0)
        self.mtu = 23
        self.parts = (0, 0)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._done: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> "BleProcess":
        habits = self._habits
        words = ["--hci", self._hci, "--address", self.address, "--mtu", str(habits.mtu)]
        if habits.vanish:
            words += ["--vanish", habits.vanish, "--vanishings", str(habits.vanishings)]
        if not habits.check_ident:
            words.append("--any-ident")
        if habits.end_first:
            words.append("--end-first")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "sim.phone.ble_main", *words),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self._reading = asyncio.create_task(self._read())
        await self._until("attach")
        return self

    @property
    def pid(self) -> int:
        """Id of the process, which must be running."""
        assert self._process is not None
        return self._process.pid

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None and self._reading is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "message" in said:
                self._messages.put_nowait(None if said["message"] is None else bytes.fromhex(said["message"]))
            else:
                self._done.put_nowait(said)
        self._messages.put_nowait(None)
        self._done.put_nowait(_ENDED)

    async def _until(self, done: str) -> dict[str, Any]:
        said = await self._done.get()
        while said["done"] != done:
            if said is _ENDED:
                self._done.put_nowait(_ENDED)  # so that the next caller also sees the end
                raise TransportError("phone.ended", "the process that is the phone's Bluetooth has ended")
            said = await self._done.get()  # nobody waits for the previous report any more
        if "why" in said:
            raise ConnectionError(said["why"])
        return said

    async def _command(self, **command: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        said = await self._until(str(command["do"]))
        self.moved, self.parts, self.mtu = tuple(said["moved"]), tuple(said["parts"]), said["mtu"]

    async def open(self, job: BleJob) -> None:
        """Connect to the reader, or wait until the reader connects."""
        while not self._messages.empty():
            self._messages.get_nowait()
        await self._command(do="open", mode=job.mode, uuid=str(job.uuid), key=job.e_device_key_bytes.hex())

    async def receive(self) -> bytes | None:
        """Return the reader's next message."""
        return await self._messages.get()

    async def send(self, message: bytes) -> None:
        """Send a message."""
        await self._command(do="send", data=message.hex())

    async def close(self) -> None:
        """End the session and the connection."""
        await self._command(do="close")
