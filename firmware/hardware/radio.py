"""One Bluetooth radio with two users: the edge link, which always runs, and a session with a phone now and then.

Towards the link, `Radio` behaves like `bluetooth.BLE`, so the link need not know that it shares the radio. A session
(`firmware.mdoc_ble`) borrows the radio with `borrow` and returns it with `give_back`. Only one session can borrow the
radio at a time.

**Whose connection is it?** The stack does not say who has connected. The service to which a peer writes shows whether
the peer is an edge or a phone:

| state | event | next state | who is told |
| --- | --- | --- | --- |
| none | a peer connects | UNKNOWN | link, session |
| UNKNOWN | a session begins | EARLY: it came for an earlier session, if for any | nobody |
| UNKNOWN, EARLY | it writes to the link's service | EDGE | link |
| UNKNOWN, EDGE | it writes to the phones' service during a session | PHONE | link: it is gone; session: the write |
| EARLY | it writes to the phones' service | EARLY | nobody |
| any | it writes to the phones' service while there is no session | the same | nobody |
| none | the lock has connected to a peer | OURS | session; if there is none, `mend` disconnects it |
| PHONE, OURS | it disconnects | none | session |
| UNKNOWN, EARLY, EDGE, MISSED | it disconnects | none | link, session |
| any | a handler raised an exception | MISSED: its writes and notifications are ignored | `mend` disconnects it |
| any | the radio is restarted | none | link, then session: RESTARTED |

If a connection stays UNKNOWN or EARLY, the link disconnects it after a while, because its peer has not written to the
link.

**Who advertises?** There is only one advertising set. The set has 31 bytes, with room for one 128-bit UUID, and belongs
to the link. `begin` and `advertise` take the set for a session (`_quiet`); `let_link_advertise` and `give_back` return
it.

**What the stack allows** (MicroPython's extmod/nimble/modbluetooth_nimble.c; NimBLE's ble_gatts_reset and
ble_gatts_start):

- `gatts_register_services` replaces all services; it cannot append one. This call fails with EBUSY while there is any
  connection, advertising, scan or connection attempt. So this function is called once before the first advertising, and
  again after each restart. `Radio` registers the link's service first, then the service for phones.
- An mdoc in the central role looks for a service UUID that was made for only one transaction. The UUID of a registered
  service cannot be changed, but the value of a descriptor can. In ATT, a service declaration is just an attribute of
  type 0x2800 whose value is the UUID. All attributes up to the next declaration belong to that service (Core, Vol 3,
  Part G, 3.1). NimBLE reads the value afresh for each discovery, and does not check that a service was registered at
  this attribute (ble_att_svr.c, ble_att_svr_build_read_group_type_rsp and ble_att_svr_fill_type_value). So the phones'
  service starts with a characteristic whose last descriptor has type 0x2800, and `begin` writes the transaction's UUID
  to this descriptor. No handle ever changes, so edges are not affected.
- After a session, the service keeps its UUID until the next session. Between two sessions, no phone gets an answer from
  this service.

**The rule for event handlers.** Events arrive in NimBLE's own task. That task can interrupt any function of ours
between two steps of the interpreter (py/vm.c, `gil_divisor`), and also while a long line is printed or `active` runs.
It never interrupts a handler. So these rules hold here, in the link and in the sessions:

- If a handler may change a value, a task reads the value once and works with its copy. A connection may be closed
  between the reading and the use of its handle; the stack then raises an OSError. A handle that is None is never passed
  to the stack.
- Each value has only one writer: either the handler or the task. If the handler and the task must both write a value,
  each write is one step (`pop`, `popitem`), or the value is a flag. A task sets the flag before it acts, and clears it
  if the action fails.
- Values that belong together are one object. The handler creates a new object, so a task never mixes old and new.
- Handlers store what happened, within limits that no peer can raise, and never log. If an exception left the handler,
  the stack would never call the handler again (`invoke_irq_handler_run_protected`). So `Radio._irq` catches all
  exceptions, and `mend` repairs what was missed.
"""

import asyncio

from firmware.hardware.console import log
from firmware.hardware.irq_flag import irq_flag
from protocol import const
from protocol.errors import TransportError
from protocol.parts import LONGEST_PART, PREFERRED_MTU, SMALLEST_MTU

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handler = Callable[[int, Any], None]

RESTARTED = const(0)
"""Our own event, not the stack's: the radio was restarted. All connections are gone; the services are registered again.
"""
CENTRAL_CONNECT = const(1)
CENTRAL_DISCONNECT = const(2)
GATTS_WRITE = const(3)
SCAN_RESULT = const(5)
_SCAN_DONE = const(6)
PERIPHERAL_CONNECT = const(7)
PERIPHERAL_DISCONNECT = const(8)
_NOTIFIED = const(18)
_LAST_CLIENT_EVENT = const(19)
MTU_EXCHANGED = const(21)

RESTART_PAUSE_MS = 1500
"""Pause after a failed restart. The restart may have failed because a visit uses all the memory. Then the next try
succeeds soon, because no visit lasts long.
"""
_TRIES = const(9)
"""`mend` gives up after this many failed restarts in a row. Then only a restart of the lock helps."""

_UNKNOWN = const(0)
_PHONE = const(1)
_OURS = const(2)
_MISSED = const(3)
_EARLY = const(4)
_EDGE = const(5)

_NAMED = const(1)
_INBOX = const(3)
"""Positions of the 0x2800 descriptor and of Client2Server among the handles of the phones' service."""


class Radio:
    """The shared radio. `ble` is a `bluetooth.BLE`. The link uses the methods that also exist in `bluetooth.BLE`.

    `phones` creates the service for phones. The service has five characteristics in this order: one whose descriptor
    declares the service, then State, Client2Server, Server2Client and Ident.
    """

    def __init__(self, ble: "Any", phones: "Callable[[], tuple[Any, ...]] | None" = None) -> None:
        self.ble = ble
        self._settings: dict[str, Any] = {}
        self._link: Handler | None = None
        self._services: tuple[Any, ...] = ()
        self._buffers: dict[int, tuple[int, bool]] = {}
        self._advertised: tuple[int, Any] | None = None
        self._connections: dict[int, int] = {}  # Maps a handle to the state in the table above.
        self._mtus: dict[int, int] = {}  # Maps the handle of a connection to the MTU after its exchange.
        self._borrower: Handler | None = None
        self._phones = phones
        self._values: tuple[int, ...] = ()
        self._quiet = False  # a session has the advertising set
        self._broken = irq_flag()
        # `_failures` counts failures of a handler. `_last` and `_wrong` are the connection and the error of the latest
        # failure.
        self._failures = self._counted = 0
        self._last = 0
        self._wrong: type[Exception] | None = None
        self._down = False

    def mtu(self, connection: int) -> int:
        """Return the ATT MTU of a connection."""
        return self._mtus.get(connection, SMALLEST_MTU)

    # --- what the link uses ------------------------------------------------------------------------------------------

    def irq(self, handler: "Handler") -> None:
        """Pass the link's events to `handler`."""
        self._link = handler

    def active(self, on: bool) -> bool:
        """Switch the radio on or off."""
        self.ble.irq(self._irq)
        return bool(self.ble.active(on))

    def config(self, **settings: "Any") -> None:
        """Configure the radio, now and after each restart."""
        self._settings.update(settings)
        self._configure()

    def gatts_register_services(self, services: "tuple[Any, ...]") -> "tuple[Any, ...]":
        """Register the link's services and the service for phones. Call this before the radio sends or receives."""
        self._services = services
        return self._register()[: len(services)]

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        """Do what `bluetooth.BLE.gatts_set_buffer` does, now and after each restart."""
        self._buffers[handle] = (size, append)
        self.ble.gatts_set_buffer(handle, size, append)

    def gatts_read(self, handle: int) -> bytes:
        """Do as `bluetooth.BLE.gatts_read`."""
        value: bytes = self.ble.gatts_read(handle)
        return value

    def gatts_notify(self, connection: int, handle: int, data: bytes) -> None:
        """Do as `bluetooth.BLE.gatts_notify`."""
        self.ble.gatts_notify(connection, handle, data)

    def gap_advertise(self, interval_us: "int | None", data: "bytes | None" = None) -> None:
        """Do as `bluetooth.BLE.gap_advertise`. If a session is using the advertising set, the call takes effect when
        the session returns the set."""
        self._advertised = None if interval_us is None else (interval_us, data)
        if not self._quiet:
            self.ble.gap_advertise(interval_us, data)

    def gap_disconnect(self, connection: int) -> bool:
        """Do as `bluetooth.BLE.gap_disconnect`."""
        return bool(self.ble.gap_disconnect(connection))

    async def mend(self, pause_ms: int = RESTART_PAUSE_MS) -> None:
        """Run for ever: repair what a failed handler has missed, and restart the radio again if a restart failed.

        After one failure, end the connection of the failed event. Ending the connection resets everything else. If this
        connection cannot be disconnected, or if handlers failed several times, restart the radio. Raises the stack's
        error after `_TRIES` failed restarts in a row.
        """
        tries = 0
        while True:
            await self._broken.wait()
            self._broken.clear()
            failures, handle, cause = self._failures, self._last, self._wrong
            fresh, self._counted = failures - self._counted, failures
            if fresh:
                log("radio.missed", error="?" if cause is None else cause.__name__, count=fresh)
                if fresh == 1 and not self._down and self._send_away(handle):
                    continue
            elif not self._down:
                continue
            try:
                self._restart()
                tries = 0
                borrower = self._borrower
                if borrower is not None:
                    borrower(RESTARTED, None)
            except (OSError, MemoryError) as error:
                tries += 1
                if tries == _TRIES:
                    raise
                log("radio.not_started", error=type(error).__name__)
                await asyncio.sleep(pause_ms / 1000)
                self._broken.set()
            else:
                self.let_link_advertise()

    # --- what a session uses -----------------------------------------------------------------------------------------

    def borrow(self, handler: "Handler") -> None:
        """Until `give_back` is called, `handler` gets the events of phones, and the events of this radio as a client.

        Raises TransportError `ble.busy` while another session has the radio.
        """
        if self._borrower is not None:
            raise TransportError("ble.busy", "the radio serves another session")
        self._borrower = handler

    def give_back(self) -> None:
        """Return the radio after `borrow`: disconnect phones and let the link advertise again. Never raises."""
        self._borrower = None
        for handle, whose in list(self._connections.items()):
            if whose == _PHONE:
                self._send_away(handle)
        self.let_link_advertise()

    def let_link_advertise(self) -> None:
        """Return the advertising set to the link."""
        if not self._quiet:
            return
        self._quiet = False
        try:
            self.ble.gap_advertise(None)
            if self._advertised is not None:
                self.ble.gap_advertise(*self._advertised)
        except OSError as error:
            # A connection is just beginning or ending. After that event, the link advertises again by itself.
            log("radio.hidden", error=error.args[0])

    def advertise(self, interval_us: int, data: bytes) -> None:
        """Advertise for a session. Raises OSError if the stack cannot advertise because it has no free connection."""
        self._quiet = True
        self.ble.gap_advertise(interval_us, data)

    def begin(self, name: bytes, ident: bytes) -> "tuple[int, ...]":
        """Set the UUID of the phones' service to `name` (16 bytes, big-endian) and its Ident to `ident`. Return the
        handles of State, Client2Server and Server2Client.

        Raises TransportError `ble.stack` when the stack refuses this.
        """
        try:
            if not self._values:
                self._register()
            _, named, state, inbox, outbox, own = self._values
            self.ble.gatts_write(named, bytes(reversed(name)))
            self.ble.gatts_write(own, ident)
        except (OSError, MemoryError, ValueError) as error:
            log("radio.refused", error=type(error).__name__)
            raise TransportError("ble.stack", "the radio refuses the service for phones")
        for handle, whose in list(self._connections.items()):
            if whose == _UNKNOWN:
                self._connections[handle] = _EARLY
        self._quiet = True
        return state, inbox, outbox

    def _configure(self) -> None:
        self.ble.config(mtu=PREFERRED_MTU, **self._settings)

    def _register(self) -> "tuple[Any, ...]":
        """Register the services of the link and of phones, with their buffers. Raises OSError if the stack refuses, and
        MemoryError if there is no memory."""
        phones = self._phones
        services = self._services if phones is None else self._services + (phones(),)
        handles: tuple[Any, ...] = self.ble.gatts_register_services(services)
        if phones is not None:
            self._values = handles[-1]
            # If the declaration had no UUID, every peer that discovers services would get an error.
            self.ble.gatts_write(self._values[_NAMED], bytes(16))
            self._buffers[self._values[_INBOX]] = (LONGEST_PART, False)
        for handle, buffer in self._buffers.items():
            self.ble.gatts_set_buffer(handle, *buffer)
        return handles

    def _send_away(self, handle: int) -> bool:
        """Disconnect. Return False if the connection was already gone."""
        try:
            return bool(self.ble.gap_disconnect(handle))
        except OSError:
            return False

    def _restart(self) -> None:
        """Switch the radio off and on, and register all services again. No other step is certain to end all
        connections.

        Raises OSError if the stack refuses, and MemoryError if there is no memory. `mend` then tries again.
        """
        log("radio.restarted")
        self._down = True
        self.ble.active(False)
        # No peer can connect until the lock advertises, so no handler runs from here on.
        self._connections.clear()
        self._mtus.clear()
        self.active(True)
        self._configure()
        self._register()
        self._down = False
        self._tell_link(RESTARTED, None)

    # --- events ------------------------------------------------------------------------------------------------------

    def _irq(self, event: int, data: "Any") -> None:
        try:
            self._note(event, data)
        except Exception as error:  # noqa: BLE001  after an exception the stack would never call this handler again
            # Allocate nothing here, because there may be no memory. A failed scan result is ignored, because the phone
            # sends its advertisement again.
            if event != SCAN_RESULT:
                self._failures += 1
                self._last = data[0]
                if data[0] in self._connections:
                    self._connections[data[0]] = _MISSED
                self._wrong = type(error)
                self._broken.set()

    def _note(self, event: int, data: "Any") -> None:
        borrower = self._borrower
        if event in (GATTS_WRITE, _NOTIFIED) and self._connections.get(data[0]) == _MISSED:
            return
        if event == GATTS_WRITE:
            # The characteristic shows whether the connection is the link's or the session's. Only that user is told.
            whose = self._connections.get(data[0])
            if data[1] not in self._values:
                if whose in (_UNKNOWN, _EARLY):
                    self._connections[data[0]] = _EDGE
                self._tell_link(event, data)
                return
            if borrower is None or whose == _EARLY:
                return  # the write was meant for an earlier session; the link will drop the connection
            self._take_over(data[0])
        elif event == CENTRAL_CONNECT:
            self._mtus.pop(data[0], None)
            # If this peer never writes, the link drops the connection.
            self._connections[data[0]] = _UNKNOWN
            self._tell_link(event, data)
        elif event == CENTRAL_DISCONNECT:
            self._mtus.pop(data[0], None)
            if self._connections.pop(data[0], _UNKNOWN) != _PHONE:
                self._tell_link(event, data)
        elif event == MTU_EXCHANGED:
            self._mtus[data[0]] = data[1]
        elif event == PERIPHERAL_CONNECT:
            self._mtus.pop(data[0], None)
            self._connections[data[0]] = _OURS
            if borrower is None:
                raise TransportError("ble.late", "no session waits for this phone any longer")
        elif event == PERIPHERAL_DISCONNECT:
            self._mtus.pop(data[0], None)
            self._connections.pop(data[0], None)
        elif not SCAN_RESULT <= event <= _LAST_CLIENT_EVENT or event == _SCAN_DONE:
            return  # neither user needs this event
        if borrower is not None:
            borrower(event, data)

    def _take_over(self, handle: int) -> None:
        """Mark the connection as a phone's, and tell the link that this connection has disconnected."""
        if self._connections.get(handle) in (_UNKNOWN, _EDGE):
            self._tell_link(CENTRAL_DISCONNECT, (handle, 0, b""))
            self._connections[handle] = _PHONE

    def _tell_link(self, event: int, data: "Any") -> None:
        if self._link is not None:
            self._link(event, data)
