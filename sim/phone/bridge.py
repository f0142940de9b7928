"""The reader module between a phone and the lock's UART1: it does ISO-DEP, the lock gets whole APDUs in frames.

Its frames are those that firmware/nfc/apdu_bridge.py documents: type (1 byte), length (2 bytes, big-endian), content.
The board stand-in connects here (address in MOORING_UART1) and passes raw bytes. A lock that reboots connects anew.
"""

import asyncio
import contextlib

PRESENT = 1
GONE = 2
COMMAND = 3
RESPONSE = 4
TROUBLE = 5
RELEASE = 6


class Bridge:
    """The reader module; implements `sim.phone.phone.Field`.

    `bit_rate` (bits a second), if given, makes APDUs take the time they would take on the air, at least.
    """

    def __init__(self, bit_rate: int | None = None) -> None:
        self._bit_rate = bit_rate
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._line = asyncio.Event()
        self._commands: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._serving: set[asyncio.Task[None]] = set()
        self._present = False
        # The lock releases each card that was reported, once. A card taken away before that leaves a RELEASE on its
        # way, which must not be taken for the next card's.
        self._owed = 0
        self.frames_ignored = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; returns "host:port" for MOORING_UART1."""
        self._server = await asyncio.start_server(self._accept, host, port)
        address = self._server.sockets[0].getsockname()
        return f"{address[0]}:{address[1]}"

    async def stop(self) -> None:
        """Close the line."""
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()  # its listener reads the end of the stream and ends
        await asyncio.gather(*self._serving)

    async def connected(self) -> None:
        """Returns once a board is on the line."""
        await self._line.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._writer, self._owed = writer, 0
        self._line.set()
        try:
            await self._listen(reader)
        finally:
            self._serving.discard(task)
            if self._writer is writer:
                self._writer = None
                self._line.clear()
                self._commands.put_nowait(None)
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        # Cancelled when the loop ends under it, which the streams of Python 3.11 would report as an error.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readexactly(3)
                content = await reader.readexactly(int.from_bytes(head[1:], "big"))
                self._take(head[0], content)

    def _take(self, kind: int, content: bytes) -> None:
        if self._owed:
            self._owed -= kind == RELEASE
        elif kind == COMMAND and self._present:
            self._commands.put_nowait(content)
        elif kind == RELEASE and self._present:
            self._present = False
            self._commands.put_nowait(None)
        else:
            self.frames_ignored += 1

    def _send(self, kind: int, content: bytes) -> None:
        # Without a board on the line the bytes go nowhere, as on a real wire.
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(bytes((kind,)) + len(content).to_bytes(2, "big") + content)

    def noise(self, garbage: bytes) -> None:
        """Put `garbage` on the line, for tests."""
        if self._writer is not None:
            self._writer.write(garbage)

    async def present(self, uid: bytes) -> None:
        """Report a card. Waits for a board to be on the line."""
        await self.connected()
        while not self._commands.empty():
            self._commands.get_nowait()
        self._present = True
        self._send(PRESENT, uid)

    async def command(self) -> bytes | None:
        """The next command for the card; None when it is released or the line is down."""
        command = await self._commands.get()
        if command is not None:
            await self._on_air(len(command))
        return command

    async def respond(self, response: bytes) -> None:
        """The card's response."""
        await self._on_air(len(response))
        if self._present:
            self._send(RESPONSE, response)

    async def remove(self) -> None:
        """The card has been taken away."""
        if self._present:
            self._present = False
            self._owed += 1
        self._send(GONE, b"")

    async def _on_air(self, size: int) -> None:
        if self._bit_rate is not None:
            await asyncio.sleep(size * 8 / self._bit_rate)
