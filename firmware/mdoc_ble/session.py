"""The base class of both modes of BLE retrieval: messages in parts, limits, and the end of a session.

The table at the head of `firmware.mdoc_ble` lists the states.
"""

import asyncio

from firmware.hardware import ticks
from firmware.hardware.gatt_sending import lost, send_message
from firmware.hardware.irq_flag import irq_flag
from protocol.errors import FormatError, MooringError, RefusedError, TransportError
from protocol.mdoc import ble
from protocol.parts import SMALLEST_MTU, Assembler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware.hardware.radio import Radio
    from protocol.parts import Room

    OnPhase = Callable[..., None]

CONNECT_MS = 8000
"""Longest wait for State = 01 after the handover over NFC."""
STEP_MS = 2000
"""Longest wait for the next part of a message. The same limit holds for each step when the lock connects to a phone.
"""
LINGER_MS = 1000
"""How long the lock waits for the phone to disconnect by itself after the last message, so that the phone surely
receives this message."""


class Session:
    """The part that both modes share. `mtu` and the counters are for logging; `sent` and `received` count bytes."""

    mode = ""

    def __init__(self, radio: "Radio", service: bytes, longest: int, room: "Room") -> None:
        self._radio = radio
        self._ble = radio.ble
        self._service = service
        self._flag = irq_flag()
        self._assembler = Assembler(room)
        self._longest = longest
        self._connection: int | None = None
        self._over: MooringError | None = None
        self._message: bytes | memoryview | None = None
        self._silent = False  # True after the lock's last message: everything that arrives is ignored
        self._linger: asyncio.Task[None] | None = None
        self._finished = False
        self.started = False
        self.parts_sent = self.parts_received = self.sent = self.received = 0
        # This error is created in advance, because later there may be no memory to create it.
        self._no_memory = TransportError("ble.memory", "no memory for the phone's message")
        radio.borrow(self._note)

    @property
    def mtu(self) -> int:
        """The ATT MTU of the connection."""
        connection = self._connection
        return SMALLEST_MTU if connection is None else self._radio.mtu(connection)

    # --- what the reader calls ---------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Advertise, or scan for the phone. Raises TransportError `ble.stack` if the stack refuses."""

    async def ready(self) -> None:
        """Wait for State = 01. Raises TransportError `ble.no_phone` if no phone comes in time, or the error of the
        latest attempt to connect."""

    async def exchange(
        self, message: "bytes | memoryview", timeout_ms: int, on_phase: "OnPhase"
    ) -> "bytes | memoryview":
        """Send `message`, and return the phone's answer, as `room.take` returns it.

        `timeout_ms` limits the wait for the first part of the answer. `STEP_MS` limits the wait for each further part.
        After the message is sent, `on_phase("mdoc.asked", parts=…, mtu=…)` is called, because the holder may have to
        consent now. If a message from the phone has already arrived, that message is returned at once and `message` is
        not sent. A phone that ends the session right after an answer sends such a message.

        Raises RefusedError `session.declined` if the phone ends the session instead. Raises TransportError `ble.lost`
        if the connection is lost, `ble.silent` if the phone stops answering, `ble.stuck` if it takes no more data, and
        `ble.memory` if there is no memory for its message. Raises FormatError `parts.*` for invalid parts.
        """
        if self._message is None:
            await self._send(message)
            on_phase("mdoc.asked", parts=self.parts_sent, mtu=self.mtu)
        return await self._receive(timeout_ms)

    async def _receive(self, timeout_ms: int) -> "bytes | memoryview":
        seen, since, wait = self.parts_received, ticks.now(), timeout_ms
        while self._message is None:
            self._check()
            if self.parts_received != seen:
                seen, since, wait = self.parts_received, ticks.now(), STEP_MS
            left = wait - ticks.since(ticks.now(), since)
            if left <= 0:
                raise TransportError("ble.silent", "the phone has stopped answering")
            await self._wake(left)
        message, self._message = self._message, None
        return message

    async def farewell(self, message: bytes) -> None:
        """Tell the phone that the session is over: send `message`, then State = 02.

        Raises the errors of `exchange`, and OSError if State cannot be sent.
        """
        self._silent = True
        await self._send(message)
        self._say(self._peer(), ble.END)

    def close(self) -> None:
        """Return the radio. After `farewell`, the phone first gets time to disconnect, and nobody waits for this. Never
        raises."""
        if self._finished:
            return
        connection = self._connection
        if connection is not None and self._over is None:
            if self._silent:
                self._linger = asyncio.create_task(self._outlast())
                return
            try:
                self._say(connection, ble.END)
            except OSError:
                pass  # the phone also learns from the disconnection that the session is over
        self.finish()

    def finish(self) -> None:
        """Disconnect and return the radio now. Never raises; a second call does nothing."""
        if self._finished:
            return
        self._finished = True
        if self._over is None:
            # This error stops a task that is still sending. The next phone may get the same connection handle.
            self._over = lost()
        if self._linger is not None:
            self._linger.cancel()
        self._stop()
        connection = self._connection
        if connection is not None:
            try:
                self._ble.gap_disconnect(connection)
            except OSError:
                pass  # already gone
        self._radio.give_back()

    async def _outlast(self) -> None:
        since = ticks.now()
        while self._over is None and ticks.since(ticks.now(), since) < LINGER_MS:
            await self._wake(LINGER_MS)
        self._linger = None
        self.finish()

    def _note(self, event: int, data: "Any") -> None:
        """Handle the radio's events. If this raises an error, the radio ends the connection."""
        try:
            self._irq(event, data)
        except MemoryError:
            if self._over is None and data and data[0] == self._connection:
                self._over = self._no_memory
                self._flag.set()
            raise

    # --- what the modes do differently -------------------------------------------------------------------------------

    def _irq(self, event: int, data: "Any") -> None:
        raise NotImplementedError

    def _stop(self) -> None:
        """Stop scanning or advertising for the phone."""

    def _tend(self) -> None:
        """Do the work that the handler has noted but may not do itself."""

    def _write(self, connection: int, part: bytes) -> None:
        raise NotImplementedError

    def _say(self, connection: int, state: bytes) -> None:
        raise NotImplementedError

    # --- shared steps ------------------------------------------------------------------------------------------------

    async def _wake(self, most_ms: int) -> None:
        try:
            await asyncio.wait_for(self._flag.wait(), most_ms / 1000)
        except asyncio.TimeoutError:
            pass
        self._flag.clear()
        self._tend()

    def _check(self) -> None:
        over = self._over
        if over is not None:
            raise over

    def _peer(self) -> int:
        """Return the connection's handle.

        Raises the error that ended the session, or TransportError `ble.lost` if there is no connection.
        """
        self._check()
        connection = self._connection
        if connection is None:
            raise lost()
        return connection

    async def _send(self, message: "bytes | memoryview") -> None:
        connection = self._peer()

        def write(part: bytes) -> None:
            self._check()
            self._write(connection, part)
            self.parts_sent += 1
            self.sent += len(part)

        await send_message(message, self._radio.mtu(connection), write)

    def _take(self, part: "bytes | memoryview") -> None:
        """Take a part from the phone. Runs in the radio's handler."""
        if self._silent or self._over is not None:
            return
        self.parts_received += 1
        self.received += len(part)
        try:
            message = self._assembler.push(part, self._longest)
        except FormatError as error:
            self._over = error
            return
        if message is None:
            return
        if self._message is None:
            self._message = message
        else:
            self._over = FormatError("ble.unasked", "the phone sent a message without a request")

    def _end(self) -> None:
        if self._over is None:
            self._over = RefusedError("session.declined", "the holder ended the session without an answer")

    def _lose(self) -> None:
        self._connection = None
        if self._over is None:
            self._over = lost()
