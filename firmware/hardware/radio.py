"""One Bluetooth radio for two users: the edge link, which is always there, and a phone now and then.

`Radio` stands in for `bluetooth.BLE` towards the link, which need not know that it shares, and hands the radio out to
one mdoc session at a time (`firmware.mdoc_ble`).

What the chip's stack allows shapes this file (MicroPython's extmod/nimble/modbluetooth_nimble.c, NimBLE's
ble_gatts_reset and ble_gatts_start):

- `gatts_register_services` replaces every service, and cannot append. It fails with EBUSY while any connection,
  advertising, scan or connection attempt is alive. So it is called once, before anything happens on the air, and after
  a restart: for the link's service and the one for phones behind it.
- An mdoc that is the central looks for a service UUID made for this one transaction, and a UUID cannot be changed once
  it is registered. But a descriptor's value can. To ATT a service is nothing but an attribute of type 0x2800 with its
  UUID for a value, and all that follows up to the next (Core, Vol 3, Part G, 3.1): NimBLE reads the value afresh for
  each discovery and asks nobody who registered it (ble_att_svr.c, ble_att_svr_build_read_group_type_rsp and
  ble_att_svr_fill_type_value). So `serve` takes a service whose first characteristic has a descriptor of type 0x2800,
  last before those for the phone; `begin` writes the transaction's UUID to it. No handle ever changes, and no edge
  notices.
- The service keeps its name until the next phone's, unanswered.
- There is one advertising set of 31 bytes, with room for one 128-bit UUID. While a session waits for its phone the
  session and the link share it in turns, before and after it is the link's.

**The rule for events.** They come in a task of NimBLE's own, which gets the interpreter in the middle of any function
of ours (py/vm.c, `gil_divisor`; a long line printed, and `active`, let it in as well), though never in the middle of a
handler. So, here and in the link and the sessions:

- A task reads what a handler may change once, and works with what it has read. A handle that it has read may be gone
  by the time it is used, which the stack answers with an OSError; None is never given to the stack.
- Each fact has one writer, handler or task; where both must, it is one step (`pop`, `popitem`) or a flag that is only
  ever set. What a task is about to make true it says before, and takes back if it fails.
- What belongs together is one object, made anew by the handler, so that a task with the old one cannot mix them.
- Handlers take notes, within bounds that no peer can move, and never log. What they raise would make the stack drop
  the handler for good (`invoke_irq_handler_run_protected`), so it ends in `Radio._irq`, and `mend` makes it good.
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
"""Not an event of the stack's: the radio was restarted, and no connection is left, nor what was registered."""
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

SILENCE_MS = 1500
"""The pause after a restart that failed: a visit that has taken all the memory is over soon."""
_TRIES = const(9)
"""Times in a row that the radio may fail to start; after that only a restart of the lock helps."""

_UNKNOWN = const(0)
_PHONE = const(1)
_OURS = const(2)
_MARRED = const(3)
_EARLY = const(4)
_EDGE = const(5)

_NAMED, _INBOX = const(1), const(3)
"""Places of the descriptor and of Client2Server among the handles of the phones' service."""


class Radio:
    """The radio `ble` (a `bluetooth.BLE`), shared. Methods named as in MicroPython's documentation are the link's."""

    def __init__(self, ble: "Any", phones: "Callable[[], tuple[Any, ...]] | None" = None) -> None:
        self.ble = ble
        self._settings: dict[str, Any] = {}
        self._link: Handler | None = None
        self._services: tuple[Any, ...] = ()
        self._buffers: dict[int, tuple[int, bool]] = {}
        self._advertised: tuple[int, Any] | None = None
        # By handle: edge or phone? It shows when they write. A connection that we made is to a phone. One from which
        # something was missed is not listened to any more. Who came for an earlier phone's service is none of this one.
        self._connections: dict[int, int] = {}
        self._mtus: dict[int, int] = {}  # of those connections on which it was exchanged
        self._borrower: Handler | None = None
        self._phones = phones
        self._values: tuple[int, ...] = ()
        self._quiet = False  # the link's advertising is held back
        self._broken = irq_flag()
        # How often a handler has failed, of what, and over which connection; the last is all that need be known.
        self._failures = self._counted = 0
        self._last = 0
        self._wrong: type[Exception] | None = None
        self._down = False

    def mtu(self, connection: int) -> int:
        """ATT MTU of a connection."""
        return self._mtus.get(connection, SMALLEST_MTU)

    # --- what the link uses ------------------------------------------------------------------------------------------

    def irq(self, handler: "Handler") -> None:
        """The link's handler."""
        self._link = handler

    def active(self, on: bool) -> bool:
        """Switch the radio on or off."""
        self.ble.irq(self._irq)
        return bool(self.ble.active(on))

    def config(self, **settings: "Any") -> None:
        """Settings of the radio; kept for when it is restarted."""
        self._settings.update(settings)
        self._configure()

    def gatts_register_services(self, services: "tuple[Any, ...]") -> "tuple[Any, ...]":
        """Register the link's services, and those for phones. Only before anything else happens on the air."""
        self._services = services
        return self._register()[: len(services)]

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        """As `bluetooth.BLE.gatts_set_buffer`; kept for when the services are registered again."""
        self._buffers[handle] = (size, append)
        self.ble.gatts_set_buffer(handle, size, append)

    def gatts_read(self, handle: int) -> bytes:
        """As `bluetooth.BLE.gatts_read`."""
        value: bytes = self.ble.gatts_read(handle)
        return value

    def gatts_notify(self, connection: int, handle: int, data: bytes) -> None:
        """As `bluetooth.BLE.gatts_notify`."""
        self.ble.gatts_notify(connection, handle, data)

    def gap_advertise(self, interval_us: "int | None", data: "bytes | None" = None) -> None:
        """As `bluetooth.BLE.gap_advertise`; put off while a session has the radio's one advertising set."""
        self._advertised = None if interval_us is None else (interval_us, data)
        if not self._quiet:
            self.ble.gap_advertise(interval_us, data)

    def gap_disconnect(self, connection: int) -> bool:
        """As `bluetooth.BLE.gap_disconnect`."""
        return bool(self.ble.gap_disconnect(connection))

    async def mend(self) -> None:
        """Make good, for ever, what a handler that failed has missed, and a radio that could not be restarted.

        The connection it was about is ended, and its end tidies up. Where that cannot be, or more than one handler
        failed, the radio is restarted. Raises what the stack raises when that fails time and again.
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
                await asyncio.sleep(SILENCE_MS / 1000)
                self._broken.set()
            else:
                self.let_link_advertise()

    # --- what a session uses -----------------------------------------------------------------------------------------

    def borrow(self, handler: "Handler") -> None:
        """Give `handler` the events of phones, and of this radio as a client, until `give_back`.

        Raises TransportError `ble.busy` while another session has them.
        """
        if self._borrower is not None:
            raise TransportError("ble.busy", "the radio serves another session")
        self._borrower = handler

    def give_back(self) -> None:
        """End a loan: phones still connected are sent away, the link's advertising goes on. Never raises."""
        self._borrower = None
        for handle, whose in list(self._connections.items()):
            if whose == _PHONE:
                self._send_away(handle)
        self.let_link_advertise()

    def let_link_advertise(self) -> None:
        """Hand the advertising set back to the link."""
        if not self._quiet:
            return
        self._quiet = False
        try:
            self.ble.gap_advertise(None)
            if self._advertised is not None:
                self.ble.gap_advertise(*self._advertised)
        except OSError as error:
            # Busy with a connection that comes or goes: the link advertises again when that is done.
            log("radio.hidden", error=error.args[0])

    def advertise(self, interval_us: int, data: bytes) -> None:
        """Advertise for a session. Raises OSError when the stack cannot, with all its connections in use."""
        self._quiet = True
        self.ble.gap_advertise(interval_us, data)

    def begin(self, name: bytes, ident: bytes) -> "tuple[int, ...]":
        """Give the phones' service the UUID `name` (16 bytes, big-endian) and `ident` as the value of its Ident; the
        handles of State, Client2Server and Server2Client.

        Raises TransportError `ble.stack` when the radio does not take it.
        """
        try:
            if not self._values:
                self._register()
            _, named, state, inbox, outbox, own = self._values
            self.ble.gatts_write(named, bytes(reversed(name)))
            self.ble.gatts_write(own, ident)
        except (OSError, MemoryError, ValueError) as error:
            log("radio.refused", error=type(error).__name__)
            raise TransportError("ble.stack", "the radio does not take the service")
        for handle, whose in list(self._connections.items()):
            if whose == _UNKNOWN:
                self._connections[handle] = _EARLY
        self._quiet = True
        return state, inbox, outbox

    def _configure(self) -> None:
        self.ble.config(mtu=PREFERRED_MTU, **self._settings)

    def _register(self) -> "tuple[Any, ...]":
        """Register the link's services and the phones', with their buffers. Raises OSError, MemoryError."""
        phones = self._phones
        services = self._services if phones is None else self._services + (phones(),)
        handles: tuple[Any, ...] = self.ble.gatts_register_services(services)
        if phones is not None:
            self._values = handles[-1]
            # A service without a UUID would be a fault to everybody who looks for services.
            self.ble.gatts_write(self._values[_NAMED], bytes(16))
            self._buffers[self._values[_INBOX]] = (LONGEST_PART, False)
        for handle, buffer in self._buffers.items():
            self.ble.gatts_set_buffer(handle, *buffer)
        return handles

    def _send_away(self, handle: int) -> bool:
        """End a connection; False if it went by itself."""
        try:
            return bool(self.ble.gap_disconnect(handle))
        except OSError:
            return False

    def _restart(self) -> None:
        """Switch the radio off and on: the one thing that always ends every connection. The link's services are there
        again, and only they. Raises OSError, MemoryError; what then is left is for `mend`.
        """
        log("radio.restarted")
        self._down = True
        self.ble.active(False)
        # From here on nobody can connect before somebody advertises: no handler comes in between.
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
        except Exception as error:  # noqa: BLE001  whatever leaves here is the last thing that the stack lets us hear
            # Nothing is made here, for there may be no memory. An advertisement that was missed comes again.
            if event != SCAN_RESULT:
                self._failures += 1
                self._last = data[0]
                if data[0] in self._connections:
                    self._connections[data[0]] = _MARRED
                self._wrong = type(error)
                self._broken.set()

    def _note(self, event: int, data: "Any") -> None:
        borrower = self._borrower
        if event in (GATTS_WRITE, _NOTIFIED) and self._connections.get(data[0]) == _MARRED:
            return
        if event == GATTS_WRITE:
            # Each user's own characteristics tell whose connection it is; the other must not judge it.
            whose = self._connections.get(data[0])
            if data[1] not in self._values:
                if whose in (_UNKNOWN, _EARLY):
                    self._connections[data[0]] = _EDGE
                self._tell_link(event, data)
                return
            if borrower is None or whose == _EARLY:
                return  # the service of a session that is over: whoever writes to it stays a stranger of the link's
            self._take_over(data[0])
        elif event == CENTRAL_CONNECT:
            self._mtus.pop(data[0], None)
            # A phone that never writes is sent away as the link's strangers are.
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
                raise TransportError("ble.late", "nobody waits for this phone any more")
        elif event == PERIPHERAL_DISCONNECT:
            self._mtus.pop(data[0], None)
            self._connections.pop(data[0], None)
        elif not SCAN_RESULT <= event <= _LAST_CLIENT_EVENT or event == _SCAN_DONE:
            return  # of no use to anybody
        if borrower is not None:
            borrower(event, data)

    def _take_over(self, handle: int) -> None:
        """A connection turned out to be a phone's: for the link it has ended."""
        if self._connections.get(handle) in (_UNKNOWN, _EDGE):
            self._tell_link(CENTRAL_DISCONNECT, (handle, 0, b""))
            self._connections[handle] = _PHONE

    def _tell_link(self, event: int, data: "Any") -> None:
        if self._link is not None:
            self._link(event, data)
