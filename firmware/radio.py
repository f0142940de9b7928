"""One Bluetooth radio for two users: the edge link, which is always there, and a phone now and then.

`Radio` stands in for `bluetooth.BLE` towards the link, which need not know that it shares, and hands the radio out to
one mdoc session at a time (`firmware.mdoc_ble`).

What the chip's stack allows shapes this file (MicroPython's extmod/nimble/modbluetooth_nimble.c, NimBLE's
ble_gatts_reset and ble_gatts_start):

- `gatts_register_services` replaces every service, and cannot append. It fails with EBUSY while any connection,
  advertising, scan or connection attempt is alive; worse, by then it has already reset the counters of the services
  in use. So it may only be called on a silent radio.
- An mdoc that is the central looks for a service UUID made for this one transaction. So before such a session the
  edge is disconnected, and the edge link's service is registered again *with* the mdoc's behind it.
- The link's service comes first in the table, so its attribute handles never change: an edge whose Bluetooth stack
  caches them (BlueZ does) finds them where they were. The edge may connect again as soon as the lock advertises,
  even during the session, since the lock's address stays the same. What it had not acknowledged it asks for again.
- The mdoc's service stays registered, unanswered, until the next one replaces it: removing it would cost the edge a
  second interruption.
- There is one advertising set of 31 bytes, with room for one 128-bit UUID. While a session waits for its phone the
  set is the session's, before and after it is the link's.
"""

import asyncio

from firmware import ticks
from firmware.console import log
from firmware.irq_flag import irq_flag
from protocol import const
from protocol.errors import TransportError
from protocol.mdoc.ble import PREFERRED_MTU

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handler = Callable[[int, Any], None]

CENTRAL_CONNECT = 1
CENTRAL_DISCONNECT = 2
GATTS_WRITE = 3
MTU_EXCHANGED = 21
_LAST_CLIENT_EVENT = const(19)

SILENCE_MS = 1500
"""Longest wait for connections to end before the stack is restarted instead: a few supervision intervals."""
_POLL_MS = const(50)
_EBUSY = const(16)


class Radio:
    """The radio `ble` (a `bluetooth.BLE`), shared. Methods named as in MicroPython's documentation are the link's."""

    def __init__(self, ble: "Any") -> None:
        self.ble = ble
        self.mtus: dict[int, int] = {}
        """ATT MTU by connection handle, of those connections on which it was exchanged."""
        self._settings: dict[str, Any] = {}
        self._link: Handler | None = None
        self._services: tuple[Any, ...] = ()
        self._buffers: dict[int, tuple[int, bool]] = {}
        self._advertised: tuple[int, Any] | None = None
        self._centrals: dict[int, bool] = {}  # handle: does it belong to a phone?
        self._borrower: Handler | None = None
        self._values: tuple[int, ...] = ()
        self._quiet = False  # the link's advertising is held back
        self._changed = irq_flag()

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
        """Register the link's services. Only before anything else happens on the air."""
        self._services = services
        handles: tuple[Any, ...] = self.ble.gatts_register_services(services)
        return handles

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        """As `bluetooth.BLE.gatts_set_buffer`; kept for when the services are registered again."""
        self._buffers[handle] = (size, append)
        self.ble.gatts_set_buffer(handle, size, append)

    def gatts_read(self, handle: int) -> bytes:
        """As `bluetooth.BLE.gatts_read`."""
        value: bytes = self.ble.gatts_read(handle)
        return value

    def gatts_notify(self, connection: "int | None", handle: int, data: bytes) -> None:
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

    # --- what a session uses -----------------------------------------------------------------------------------------

    def borrow(self, handler: "Handler") -> None:
        """Give `handler` the events of phones, and of this radio as a client, until `give_back`.

        Raises TransportError `ble.busy` while another session has them.
        """
        if self._borrower is not None:
            raise TransportError("ble.busy", "the radio serves another session")
        self._borrower = handler
        self._configure()

    def give_back(self) -> None:
        """End a loan: phones still connected are sent away, the link's advertising goes on. Never raises."""
        self._borrower = None
        for handle, is_phone in list(self._centrals.items()):
            if is_phone:
                self._send_away(handle)
        self._configure()
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

    async def serve(self, service: "tuple[Any, ...]") -> "tuple[int, ...]":
        """Put `service` behind the link's; the value handles of its characteristics.

        Every connection ends first. Raises TransportError `ble.stack` when the radio does not come to rest.
        """
        self._quiet = True
        await self._silence()
        try:
            handles = self.ble.gatts_register_services(self._services + (service,))
        except OSError as error:
            if error.args[0] != _EBUSY:
                raise TransportError("ble.stack", "the radio does not take the service")
            # Someone connected in between. What the failed call left of the services is of no use: start afresh.
            self._restart()
            handles = self.ble.gatts_register_services(self._services + (service,))
        for handle, buffer in self._buffers.items():
            self.ble.gatts_set_buffer(handle, *buffer)
        self._values = handles[-1]
        return self._values

    async def _silence(self) -> None:
        """No connection, and nothing under way that could become one."""
        self.ble.gap_advertise(None)
        began = ticks.now()
        for handle in list(self._centrals):
            self._send_away(handle)
        while self._centrals:
            if ticks.since(ticks.now(), began) > SILENCE_MS:
                self._restart()
                return
            try:
                await asyncio.wait_for(self._changed.wait(), _POLL_MS / 1000)
            except asyncio.TimeoutError:
                pass
            self._changed.clear()
            self.ble.gap_advertise(None)  # a connection that failed to come up may have left it on

    def _configure(self) -> None:
        self.ble.config(**self._settings)
        if self._borrower is not None:
            self.ble.config(mtu=PREFERRED_MTU)

    def _send_away(self, handle: int) -> None:
        try:
            self.ble.gap_disconnect(handle)
        except OSError:
            pass  # it went by itself

    def _restart(self) -> None:
        """Switch the radio off and on: the one thing that always ends every connection."""
        log("radio.restarted")
        gone = self._centrals
        self._centrals = {}
        self.mtus.clear()
        self.ble.active(False)
        self.active(True)
        self._configure()
        for handle in gone:
            self._tell_link(CENTRAL_DISCONNECT, (handle, 0, b""))

    # --- events ------------------------------------------------------------------------------------------------------

    def _irq(self, event: int, data: "Any") -> None:
        borrower = self._borrower
        if CENTRAL_DISCONNECT < event <= _LAST_CLIENT_EVENT and event != GATTS_WRITE:
            if borrower is not None:
                borrower(event, data)
            return
        handle = data[0]
        if event == CENTRAL_CONNECT:
            # Edge or phone? It shows when it writes; a phone that never does is sent away as the link's strangers are.
            self._centrals[handle] = False
        elif event == CENTRAL_DISCONNECT:
            self.mtus.pop(handle, None)
            is_phone = self._centrals.pop(handle, False)
            self._changed.set()
            if borrower is not None:
                borrower(event, data)
            if not is_phone:
                self._tell_link(event, data)
            return
        elif event == MTU_EXCHANGED:
            self.mtus[handle] = data[1]
        elif event == GATTS_WRITE:
            # Each user's own characteristics tell whose connection it is; the other must not judge it.
            if data[1] not in self._values:
                self._tell_link(event, data)
                return
            self._take_over(handle)
            if borrower is not None:
                borrower(event, data)
            return
        if borrower is not None:
            borrower(event, data)
        if not self._centrals.get(handle, False):
            self._tell_link(event, data)

    def _take_over(self, handle: int) -> None:
        """A connection turned out to be a phone's: for the link it has ended."""
        if self._centrals.get(handle) is False:
            self._centrals[handle] = True
            self._tell_link(CENTRAL_DISCONNECT, (handle, 0, b""))

    def _tell_link(self, event: int, data: "Any") -> None:
        if self._link is not None:
            self._link(event, data)
