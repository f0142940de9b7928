"""The lock's end of the edge link: a GATT server that streams the journal up and takes statements down.

Nothing is said before the handshake of `link_session`, which only an edge with a pass from the province gets through;
each message after it is sealed, and one that does not open ends the connection. Even so an edge is a courier that
need not be honest: it gets records that it cannot read, and can offer statements that verify or do not. What anybody
may cost is bounded: memory by one message being assembled, a small inbox and one statement in pieces, attention by a
purse for handshakes and by pauses after refusals, connections by a limit and a time to prove oneself.

This module looks after the connections; what is said over one of them is `conversation`. A connection belongs
to this link from its first write to DOWN on, so connections for another service may come and go beside it. The irq
handler only takes notes, and `run` does the work, by the rule that stands in `firmware.hardware.radio`.
"""

import asyncio

import bluetooth

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, RESTARTED
from firmware.link.conversation import Conversation
from protocol import link
from protocol.errors import FormatError, MooringError
from protocol.parts import LONGEST_PART

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.hardware.radio import Radio
    from firmware.link.conversation import LockMemory

ADVERTISE_US = 200000
"""Advertising interval: an edge finds a lock within a second, and the radio is idle 99% of the time."""
CONNECTIONS = 3
"""Connections at a time, of the four that NimBLE has on this chip; one stays free for a phone."""
SILENT_MS = 10000
"""A connection that has not written to DOWN by then, or not proven itself, is not an edge, and makes room. The chip's
own part in a handshake takes some two seconds."""


class Link:
    """The link over `radio` for `lock`: `run` for ever. `news` is an `irq_flag`, which is set when there is a new
    record and when a fact of the HELLO has changed."""

    def __init__(self, radio: "Radio", lock: "LockMemory", news: "Any") -> None:
        self._radio = radio
        self._lock = lock
        self._flag = news
        self._connections: dict[int, int] = {}  # handle: when it came
        self._unwelcome: dict[int, str] = {}  # handle: why it has to go
        self._current: Conversation | None = None  # the handler's to set
        self._pieces: list[Any] = []  # of a statement, `Conversation`'s; they outlive it
        self._advertise_due = True
        self._down = self._up = 0

    async def run(self) -> None:
        """Serve edges until cancelled. Raises OSError, MemoryError when the radio cannot be had again."""
        self._start()
        await asyncio.gather(self._serve(), self._radio.mend())

    async def _serve(self) -> None:
        while True:
            try:
                self._lock.admission.prepare()
                look_again = self._advertise_due or self._has_strangers()
                await asyncio.wait_for(self._flag.wait(), SILENT_MS / 1000 if look_again else None)
            except asyncio.TimeoutError:
                pass
            self._flag.clear()
            self._tidy()
            while await self._step():
                # The door comes first: let every other task run between two messages.
                await asyncio.sleep(0)
                self._tidy()

    def _start(self) -> None:
        radio = self._radio
        radio.irq(self._irq)
        radio.active(True)
        radio.config(gap_name="Mooring")
        down = (bluetooth.UUID(link.DOWN), bluetooth.FLAG_WRITE | bluetooth.FLAG_WRITE_NO_RESPONSE)
        up = (bluetooth.UUID(link.UP), bluetooth.FLAG_NOTIFY)
        ((self._down, self._up),) = radio.gatts_register_services(((bluetooth.UUID(link.SERVICE), (down, up)),))
        radio.gatts_set_buffer(self._down, LONGEST_PART)
        self._flag.set()

    # --- in the radio's handler --------------------------------------------------------------------------------------

    def _irq(self, event: int, data: "Any") -> None:
        if event == GATTS_WRITE:
            if data[1] == self._down:
                self._take_part(data[0])
        elif event == CENTRAL_CONNECT:
            if len(self._connections) >= CONNECTIONS:
                self._unwelcome[data[0]] = "link.full"
            self._connections[data[0]] = ticks.now()
            self._advertise_due = True
        elif event == CENTRAL_DISCONNECT:
            self._connections.pop(data[0], None)
            self._unwelcome.pop(data[0], None)
            self._end(data[0])
            self._advertise_due = True
        elif event == RESTARTED:
            self._connections.clear()
            self._unwelcome.clear()
            self._end(None)
            self._advertise_due = True
        self._flag.set()

    def _end(self, connection: "int | None") -> None:
        talk = self._current
        if talk is not None and connection in (None, talk.connection):
            talk.closed = True
            self._current = None

    def _take_part(self, connection: int) -> None:
        talk = self._current
        if (talk is None or (talk.closed and talk.connection != connection)) and connection in self._connections:
            talk = self._current = Conversation(self._lock, self._radio, connection, self._up, self._pieces)
        if talk is None or connection != talk.connection:
            self._unwelcome[connection] = "link.busy"
        elif not talk.closed:
            try:
                # Read here: the next write may overwrite the value before `run` comes round.
                talk.push(self._radio.gatts_read(self._down))
            except FormatError as error:
                self._unwelcome[connection] = error.code

    # --- in the link's task ------------------------------------------------------------------------------------------

    def _has_strangers(self) -> bool:
        talk = self._current
        proven = None if talk is None or talk.session is None else talk.connection
        return any(handle != proven for handle in list(self._connections))

    def _tidy(self) -> None:
        """Send away who should not be here, and be found by others."""
        now = ticks.now()
        talk = self._current
        served = None if talk is None or talk.closed else talk.connection
        for handle, since in list(self._connections.items()):
            if handle != served and ticks.since(now, since) >= SILENT_MS:
                self._drop(handle, "link.silent")
        if talk is not None and served is not None and talk.session is None:
            if ticks.since(now, talk.since) >= SILENT_MS:
                self._drop(served, "link.unproven")
        while self._unwelcome:
            self._drop(*self._unwelcome.popitem())
        if self._advertise_due and len(self._connections) < CONNECTIONS:
            self._advertise_due = False  # first, for somebody may connect as soon as it is done, and end it
            try:
                self._radio.gap_advertise(ADVERTISE_US, link.advertisement(self._lock.hello().lock_id))
            except OSError as error:
                # The radio may still be busy with a connection that ends; this is tried again with the next look.
                self._advertise_due = True
                log("link.hidden", error=error.args[0])

    def _drop(self, handle: int, code: str) -> None:
        if handle not in self._connections:
            return
        log("link.dropped", code=code)
        talk = self._current
        if talk is not None and talk.connection == handle:
            talk.closed = True  # nothing it has sent counts; its handle stays known until the radio says it is gone
        try:
            self._radio.gap_disconnect(handle)
        except OSError:
            pass  # it went by itself

    async def _step(self) -> bool:
        """Let the conversation do the next thing there is to do; False if there is nothing."""
        talk = self._current
        if talk is None or talk.closed:
            return False
        code = "link.memory"
        try:
            return await talk.step()
        except MooringError as error:
            code = error.code
        except MemoryError:
            pass  # what it had is garbage now; the next conversation begins with nothing
        if not talk.closed:
            self._drop(talk.connection, code)
        return True
