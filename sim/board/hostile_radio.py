"""Delivers events of the radio at bad moments (MOORING_RADIO_HOSTILE=seed).

On the chip, a separate task delivers the events, so an event can arrive at any moment. Without this module, the
stand-in delivers events only between two steps of the event loop. This module holds each event back until a moment at
which the firmware is working. Such moments are just before and just after the firmware calls the Bluetooth stack or the
crypto, reads the clock, or prints. The seed chooses the moment. When the event loop is idle, waiting events are
delivered too. So no event is lost, and all events stay in order.
"""

import asyncio
import builtins

import bluetooth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CALLS = (
    "gap_advertise gap_disconnect gap_scan gap_connect gatts_register_services gatts_read gatts_write gatts_notify "
    "gatts_set_buffer gattc_discover_services gattc_discover_characteristics gattc_discover_descriptors gattc_write "
    "gattc_exchange_mtu config"
)
_CRYPTO = (
    "seal_gcm seal_gcm_in_place open_gcm open_gcm_in_place ecdh digest verify sign generate hkdf_extract hkdf_expand "
    "random"
)
_IDLE_SECONDS = 0.03


class _Events:
    def __init__(self, seed: int) -> None:
        self._state = seed
        self._waiting: list[tuple[Any, ...]] = []
        self._delivering = False
        self._deliver = bluetooth.BLE._event
        self._idle: asyncio.Task[None] | None = None

    def take(self, *event: "Any") -> None:
        self._waiting.append(event)
        if self._idle is None:
            self._idle = asyncio.create_task(self._when_idle())

    def forget(self) -> None:
        """Drop the events that still wait, because the radio is off."""
        self._waiting.clear()

    def moment(self) -> None:
        """Perhaps deliver the first waiting event. Never deliver an event while a handler is running.

        At most one event is delivered at each moment. Between a check and a call, there are only a few instructions.
        This time is too short for two events, such as the end of one connection and the beginning of another.
        """
        if self._waiting and not self._delivering:
            self._state = (self._state * 1103515245 + 12345) & 0x3FFFFFFF
            if not self._state >> 16 & 3:
                self._next()

    def _next(self) -> None:
        self._delivering = True
        try:
            self._deliver(*self._waiting.pop(0))
        finally:
            self._delivering = False

    async def _when_idle(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            await asyncio.sleep(_IDLE_SECONDS)
            if self._waiting and self._waiting[0] is first:
                self._next()
        self._idle = None


def plant(seed: int) -> None:
    """Deliver events at bad moments from now on. Call this function before the radio is switched on."""
    from firmware import crypto
    from firmware.hardware import ticks

    events = _Events(seed)

    def around(call: "Any") -> "Any":
        def called(*arguments: "Any", **named: "Any") -> "Any":
            events.moment()
            result = call(*arguments, **named)
            events.moment()
            return result

        return called

    def take(ble: "Any", *event: "Any") -> None:
        events.take(ble, *event)

    switch = bluetooth.BLE.active

    def active(ble: "Any", *on: "Any") -> bool:
        if on and not on[0]:
            events.forget()
        return bool(switch(ble, *on))

    setattr(bluetooth.BLE, "_event", take)  # noqa: B010  mypy has no other way to replace a method
    setattr(bluetooth.BLE, "active", active)  # noqa: B010
    for owner, names in ((bluetooth.BLE, _CALLS), (crypto, _CRYPTO), (ticks, "now"), (builtins, "print")):
        for name in names.split():
            setattr(owner, name, around(getattr(owner, name)))
