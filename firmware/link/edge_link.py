"""The lock's end of the edge link: a GATT server that sends records from the journal and receives statements.

An edge must first complete the handshake of `link_session`, which needs a pass from the province. After the handshake,
every message is sealed, and a message that cannot be opened ends the connection. Even after the handshake, the lock
does not trust the edge. The edge cannot read the records, and the lock verifies every statement. A peer can use only a
limited amount of the lock's resources:

- Memory is limited to one message that is being assembled, a small inbox, and one statement in pieces.
- Computing time is limited by the rate limit of `admission`, and by pauses after refused statements.
- Connections are limited to `CONNECTIONS`. Each peer except a phone must soon prove that it is an edge.

This module manages the connections; `conversation` handles the messages over one connection. The link serves only one
edge at a time, namely the edge that writes to DOWN first. All other connections belong to phones, or to peers that have
not written yet.

| a connection | leaves by |
| --- | --- |
| is one too many (`CONNECTIONS`) | `link.full`, at once |
| writes to DOWN while another is being served | `link.busy`, at once |
| writes nothing for `SILENT_MS` | `link.silent` |
| has written, but not proven itself after `SILENT_MS` | `link.unproven` |
| breaks a rule of the conversation, or has no memory | the code of that error, or `link.memory` |
| turns out to be a phone's | nothing: `Radio` reports it as disconnected, and the session has it |

The irq handler only stores what happened, and `run` does the work (see the rule for event handlers in
`firmware.hardware.radio`).
"""

import asyncio

import bluetooth

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, RESTARTED
from firmware.link.conversation import Conversation
from protocol import const, link
from protocol.errors import FormatError, MooringError
from protocol.parts import LONGEST_PART

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.hardware.radio import Radio
    from firmware.link.conversation import LockMemory

ADVERTISE_US = 200000
"""Advertising interval. An edge finds the lock within a second, and the radio still idles for 99% of the time."""
CONNECTIONS = 3
"""Maximum number of connections at a time. NimBLE allows four connections on this chip, so one connection stays free
for a phone.
"""
SILENT_MS = 10000
"""After connecting, a peer must write to DOWN within this time. After its first write, the peer must complete the
handshake within this time. Otherwise the link disconnects the peer. The lock's part of a handshake takes about two
seconds on the chip."""

_HINT_MS = const(60000)
"""Time between two hints: `protocol.link_initiator.HINT_SECONDS`, which a lock does not load. `hint` in the same module
says what a hint is."""


class Link:
    """The link over `radio` for `lock`. Call `run` once. `news` is an `irq_flag`. The flag must be set after each new
    record, and after each change of a fact in the HELLO.
    """

    def __init__(self, radio: "Radio", lock: "LockMemory", news: "Any") -> None:
        self._radio = radio
        self._lock = lock
        self._flag = news
        self._connections: dict[int, int] = {}  # Maps the handle of a connection to the tick at which it began.
        self._unwelcome: dict[int, str] = {}  # Maps a handle to the reason why its connection must end.
        self._current: Conversation | None = None  # Only the handler changes this.
        self._partial: list[Any] = []  # See `Conversation`.
        self._advertise_due = True
        self._down = self._up = 0
        # Before the first session, nobody can read the hints.
        self._hint_key = lock.crypto.random(32)
        self._hint = lock.crypto.random(2)
        self._hint_at = ticks.now()
        self._number = self._next = 0

    async def run(self) -> None:
        """Serve edges until cancelled. Raises OSError or MemoryError if the radio fails and cannot be restarted."""
        self._start()
        await asyncio.gather(self._serve(), self._radio.mend())

    async def _serve(self) -> None:
        while True:
            try:
                self._lock.admission.prepare()
                wait = _HINT_MS - ticks.age(self._hint_at)
                if self._advertise_due or self._has_strangers():
                    wait = min(wait, SILENT_MS)
                await asyncio.wait_for(self._flag.wait(), max(wait, 0) / 1000)
            except asyncio.TimeoutError:
                pass
            self._flag.clear()
            self._tidy()
            while await self._step():
                # Let all other tasks run between two messages, because the door has priority.
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
            talk.close()
            self._current = None

    def _take_part(self, connection: int) -> None:
        talk = self._current
        if (talk is None or (talk.closed and talk.connection != connection)) and connection in self._connections:
            talk = self._current = Conversation(self._lock, self._radio, connection, self._up, self._partial)
        if talk is None or connection != talk.connection:
            self._unwelcome[connection] = "link.busy"
        elif not talk.closed:
            try:
                # Read the value now, because the next write may overwrite it before `run` continues.
                talk.push(self._radio.gatts_read(self._down))
            except FormatError as error:
                self._unwelcome[connection] = error.code

    # --- in the link's task ------------------------------------------------------------------------------------------

    def _has_strangers(self) -> bool:
        talk = self._current
        proven = None if talk is None or talk.session is None else talk.connection
        return any(handle != proven for handle in list(self._connections))

    def _tidy(self) -> None:
        """Disconnect all peers that should not be connected, make the next hint if its time has come, and advertise if
        there is room for another connection."""
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
        if talk is not None and not talk.closed and talk.session is not None:  # a refused edge's is closed by now
            self._next = talk.next
            if self._hint_key != talk.session.hint_key:
                # The next hint is made under the new key. Until then, the lock goes on advertising the old one.
                self._hint_key, self._number = talk.session.hint_key, 0
        if ticks.since(now, self._hint_at) >= _HINT_MS:
            # This moment does not depend on sessions and records, so a passer-by learns nothing from it.
            self._hint_at = now
            self._number += 1
            news = bytes((self._lock.hello().next_counter > self._next,))
            self._hint = self._lock.crypto.hmac_sha256(self._hint_key, self._number.to_bytes(4, "big") + news)[:2]
            self._advertise_due = True
        if self._advertise_due and len(self._connections) < CONNECTIONS:
            self._advertise_due = False  # clear this first: a peer that connects at once sets it again
            try:
                self._radio.gap_advertise(ADVERTISE_US, link.advertisement(self._lock.hello().lock_id, self._hint))
            except OSError as error:
                # The radio may still be busy with a connection that is ending. `run` will try again.
                self._advertise_due = True
                log("link.hidden", error=error.args[0])

    def _drop(self, handle: int, code: str) -> None:
        if handle not in self._connections:
            return
        log("link.dropped", code=code)
        talk = self._current
        if talk is not None and talk.connection == handle:
            # Earlier messages of this peer are ignored from now on. The peer's handle stays in `_connections` until the
            # radio reports the disconnection.
            talk.close()
        try:
            self._radio.gap_disconnect(handle)
        except OSError:
            pass  # already gone

    async def _step(self) -> bool:
        """Let the conversation do one piece of work. Return False if there was no work."""
        talk = self._current
        if talk is None or talk.closed:
            return False
        code = "link.memory"
        try:
            return await talk.step()
        except MooringError as error:
            code = error.code
        except MemoryError:
            pass  # dropping the conversation frees its memory
        if not talk.closed:
            self._drop(talk.connection, code)
        return True
