"""Decides when BlueZ has to be mended, and mends it.

    what is seen                                                     what is done
    ---------------------------------------------------------------  ----------------------------------------------
    a lock's address answers, but without the lock's service: BlueZ  BlueZ forgets the device, at most once an hour
    remembers old services                                           for each address
    for STUCK_SECONDS no lock has answered, and BlueZ has shown at   the adapter is switched off and on. The next
    least SIGNS times that it is stuck                               time is later: 10 minutes, 20, … up to 6 hours

BlueZ shows that it is stuck if a call did not return in time, if it says `InProgress`, or if a scan fails. Locks that
are only out of reach or without power show none of this, so the adapter stays on. A repair that fails is logged, and
nothing else depends on it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from edge_agent import bluez, log
from edge_agent.backoff import Backoff
from protocol.errors import TransportError

STUCK_SECONDS: Final = 300.0
SIGNS: Final = 3
LOOK_SECONDS: Final = 10.0
"""Time between two looks."""
AGAIN: Final = Backoff(first=1200.0, limit=6 * 3600.0)
"""How long to wait after a repair of the adapter."""
FORGET_AGAIN_SECONDS: Final = 3600.0

Repair = Callable[[], Awaitable[list[str]]]


class RadioCare:
    """Watches the radio. `on_mended` is called after each repair of the adapter. In tests, `restart` and `forget` are
    other functions."""

    def __init__(
        self,
        on_mended: Callable[[], None],
        restart: Repair = bluez.restart_adapters,
        forget: Callable[[str], Awaitable[list[str]]] = bluez.forget,
    ) -> None:
        self._on_mended, self._restart, self._forget = on_mended, restart, forget
        self._answered_at: float | None = None
        self._signs = self._repairs = 0
        self._stale: list[str] = []
        self._forgotten: dict[str, float] = {}

    def note_answer(self) -> None:
        """Note that a lock has answered. So the radio works."""
        self._answered_at = asyncio.get_running_loop().time()
        self._signs = self._repairs = 0

    def note_stuck(self) -> None:
        """Note that BlueZ has shown that it is stuck."""
        self._signs += 1

    def note_stale(self, address: str) -> None:
        """Note that the address of a lock has answered without the lock's service."""
        if address not in self._stale:
            self._stale.append(address)

    async def run(self) -> None:
        """Mend what has to be mended, until cancelled."""
        time = asyncio.get_running_loop().time
        if self._answered_at is None:
            self._answered_at = time()
        due = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            while self._stale:
                await self._forget_one(self._stale.pop(0), time())
            if self._signs >= SIGNS and time() - self._answered_at >= STUCK_SECONDS and time() >= due:
                await self._mend()
                due = time() + AGAIN.wait(self._repairs)

    async def _forget_one(self, address: str, now: float) -> None:
        if now - self._forgotten.get(address, -FORGET_AGAIN_SECONDS) < FORGET_AGAIN_SECONDS:
            return
        self._forgotten[address] = now
        try:
            if await self._forget(address):
                log.event("radio.forgotten", address=address)
        except TransportError as error:
            log.event("radio.not_mended", code=error.code, reason=error.message)

    async def _mend(self) -> None:
        self._signs, self._repairs = 0, self._repairs + 1
        try:
            log.event("radio.mended", adapters=len(await self._restart()))
        except TransportError as error:
            log.event("radio.not_mended", code=error.code, reason=error.message)
        self._on_mended()
