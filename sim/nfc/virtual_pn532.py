"""A PN532 board in software. A host connects to one side of the board, and phones are held to the other side.

The host can be a lock over TCP (address in MOORING_UART1), a program that opens a serial port over a pty, or a driver
in this process. For phones, the board is a `sim.phone.phone.Field`.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from dataclasses import dataclass

from sim.nfc.antenna import Antenna
from sim.nfc.card import Card, Traits
from sim.nfc.chip import Chip
from sim.nfc.faults import Chance, Faults


@dataclass
class LineCounts:
    """Frames and bytes on the host line."""

    to_chip: int = 0
    from_chip: int = 0
    bytes_to_chip: int = 0
    bytes_from_chip: int = 0


class VirtualPn532:
    """The board.

    If `paced` is true, everything takes as long as on real air and on a real line. `traits` are the parameters of the
    phones that are held to the board. The next phone comes only after the chip has found the field empty
    `looks_between` times. People swap phones so slowly that a reader always notices the empty field. The value 0 is for
    phones that come at once. `lingers` is as in `Antenna`.
    """

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        paced: bool = False,
        traits: Traits | None = None,
        looks_between: int = 10,
        lingers: float = 0.0,
    ) -> None:
        self._faults = faults or Faults()
        self.traits = traits or Traits()
        """Parameters of the next phones."""
        self._looks_between = looks_between
        self._paced = paced
        self._chance = Chance(self._faults.seed)
        self.antenna = Antenna(self._faults, self._chance, paced, lingers)
        self.chip = Chip(self.antenna, self._faults, self._emit)
        self.line = LineCounts()
        self._write: Callable[[bytes], None] | None = None
        self._leaving: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._leaves: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._connected = asyncio.Event()
        self._terminal: tuple[int, int] | None = None
        self._card: Card | None = None

    def expect(self, traits: Traits) -> None:
        """Give the next phones these parameters."""
        self.traits = traits

    def go_wrong(self, faults: Faults) -> None:
        """From now on, use other faults, with another seed."""
        self._faults, self._chance = faults, Chance(faults.seed)
        self.antenna.go_wrong(faults, self._chance)
        self.chip.go_wrong(faults)

    # --- hosts -------------------------------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen for a host. Returns "host:port" for MOORING_UART1.

        A host that reboots connects again. The chip keeps running meanwhile.
        """
        self._server = await asyncio.start_server(self.serve, host, port)
        address = self._server.sockets[0].getsockname()
        return f"{address[0]}:{address[1]}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a host that sends its bytes by `reader` and gets the chip's bytes by `writer`."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer

        def write(data: bytes) -> None:
            if not writer.is_closing():
                writer.write(data)

        self.attach(write)
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(4096):
                    self.hear(data)
        finally:
            del self._serving[task]
            if self._write is write:
                self._write = None
                self._connected.clear()
                if self._card is not None:
                    # The guest notices that the door is dead, and takes the phone away.
                    self._card.commands.put_nowait(None)
            writer.close()

    def open_terminal(self) -> str:
        """Open a pty with the chip behind it. Returns the path of the serial port."""
        inner, outer = os.openpty()
        # The pty is raw from the start. The pty stays open here, so it keeps this mode when a program closes and
        # reopens it.
        tty.setraw(outer)
        os.set_blocking(inner, False)
        self._terminal = inner, outer
        asyncio.get_running_loop().add_reader(inner, lambda: self.hear(os.read(inner, 4096)))

        def write(data: bytes) -> None:
            os.write(inner, data)

        self.attach(write)
        return os.ttyname(outer)

    def attach(self, write: Callable[[bytes], None]) -> None:
        """Connect a host. The host takes bytes by `write`, and sends bytes by `hear`."""
        self._write = write
        self.antenna.forget_looks()  # this host has not looked yet
        if self._leaves is None:
            self._leaves = asyncio.create_task(self._leave())
        self._connected.set()

    def hear(self, data: bytes, baudrate: int | None = None) -> None:
        """Take bytes from the host."""
        self.line.to_chip += 1
        self.line.bytes_to_chip += len(data)
        if self._chance.strikes(self._faults.line_lost):
            return
        if self._chance.strikes(self._faults.line_damaged):
            data = self._chance.damage(data)
        self.chip.take(data, baudrate)

    def noise(self, garbage: bytes) -> None:
        """Put `garbage` on the line to the host."""
        self._leaving.put_nowait((garbage, False))

    def _emit(self, frame: bytes) -> None:
        self._leaving.put_nowait((frame, True))

    async def _leave(self) -> None:
        """Send the frames for the host, one after the other."""
        while True:
            data, counted = await self._leaving.get()
            if self._paced:
                await asyncio.sleep(len(data) * 10 / self.chip.baudrate)
            if counted:
                self.line.from_chip += 1
                self.line.bytes_from_chip += len(data)
                if self._chance.strikes(self._faults.line_late):
                    await asyncio.sleep(self._faults.late_seconds)
                if self._chance.strikes(self._faults.line_lost):
                    continue
                if self._chance.strikes(self._faults.line_damaged):
                    data = self._chance.damage(data)
            # Without a host on the line, the bytes are lost, as on a real wire.
            if self._write is not None:
                self._write(data)

    async def stop(self) -> None:
        """Switch the board off, and end the connections of its hosts."""
        await self.chip.close()
        await self.antenna.close()
        if self._server is not None:
            self._server.close()
        for writer in self._serving.values():
            writer.close()  # the task that reads from this host then sees the end of the stream
        await asyncio.gather(*self._serving)
        if self._leaves is not None:
            self._leaves.cancel()
            await asyncio.gather(self._leaves, return_exceptions=True)
        if self._terminal is not None:
            asyncio.get_running_loop().remove_reader(self._terminal[0])
            for descriptor in self._terminal:
                os.close(descriptor)
            self._terminal = None

    async def connected(self) -> None:
        """Wait until a host is on the line."""
        await self._connected.wait()

    # --- phones: `sim.phone.phone.Field` -----------------------------------------------------------------------------

    def card(self, uid: bytes) -> Card:
        """Return a new card with this board's traits. The card is not in the field yet."""
        return Card(uid, self.traits, self._faults.wtx_storm)

    async def present(self, uid: bytes) -> None:
        """Hold a phone to the reader, once the reader has noticed that the previous phone is gone."""
        await self.connected()
        looks = self._looks_between * (1 + len(self.antenna.cards))  # if a sticker is there, a poll looks more often
        async with self.antenna.looked:
            await self.antenna.looked.wait_for(lambda: self.antenna.empty_looks >= looks)
        self._card = self.card(uid)
        self.antenna.bring(self._card)

    async def command(self) -> bytes | None:
        """Return the next command for the phone.

        Returns None once the reader has let go, the phone has left the field, or the host has disconnected.
        """
        return None if self._card is None else await self._card.commands.get()

    async def respond(self, response: bytes) -> None:
        """Send the phone's response."""
        if self._card is not None:
            self._card.answers.put_nowait(response)

    async def remove(self) -> None:
        """Take the phone away."""
        if self._card is not None:
            self.antenna.take(self._card)
            self._card = None
