"""Which locks are talked to, and at which addresses.

An edge's own locks are those that a pass of the province lists. An address is *proven* once the lock behind it has
shown in the handshake that it holds the identity key of one of them; that is remembered on disk. Each proven address,
and each that the configuration names, has a link of its own, whatever else is on the air. All other addresses are
strangers: of these only such as claim to be an own lock which is not connected are tried at all, a few at a time
(`edge_agent.sightings`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from edge_agent import config, log
from edge_agent.credentials import Credentials
from edge_agent.faults import FaultError, Faults, keep
from edge_agent.lock_state import LockState
from edge_agent.outbox import Outbox
from edge_agent.sightings import Sightings
from protocol.errors import MooringError, TransportError

PROOF_SECONDS: Final = 20.0
"""For a stranger to be connected and to prove itself: a lock that advertises does both within some seconds."""
LOOK_SECONDS: Final = 5.0
"""Between two looks whether a stranger's turn has come, at most: the connection to a lock may have been lost."""

Search = Callable[[float], Awaitable[list[tuple[str, bytes]]]]


class Roster:
    """Serves the locks in `locks`, by address, which it fills: proven ones, or those that `settings` name.

    `make(address)` makes a lock with its link; `deliver(lock)` hands over what waits for it, until cancelled.
    """

    def __init__(
        self,
        settings: config.Locks,
        credentials: Credentials,
        outbox: Outbox,
        faults: Faults,
        *,
        locks: dict[str, LockState],
        make: Callable[[str, bytes], LockState],
        deliver: Callable[[LockState], Coroutine[Any, Any, None]],
        search: Search,
    ) -> None:
        self.locks = locks
        self._settings, self._credentials, self._outbox, self._faults = settings, credentials, outbox, faults
        self._make, self._deliver, self._search = make, deliver, search
        self._sightings = Sightings(lambda: asyncio.get_running_loop().time())
        self._work: dict[str, list[asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._unlisted = 0
        self._news = asyncio.Event()
        self._look = asyncio.Event()

    @property
    def strangers(self) -> int:
        """Addresses that claim to be a lock of ours and have not proven it."""
        return len(self._sightings)

    async def run(self) -> None:
        """Serve until cancelled. Raises StorageError."""
        self.locks.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for address in self._settings.addresses:
                    self._serve(self._make(address, b""))
                if not self._settings.addresses:
                    self.passes_changed()
                    tasks.create_task(keep("scan", self._scan, self._faults))
                    tasks.create_task(keep("newcomers", lambda: self._try_strangers(newcomers=True), self._faults))
                    tasks.create_task(keep("strangers", lambda: self._try_strangers(newcomers=False), self._faults))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._tasks = None
            self._work.clear()

    def passes_changed(self) -> None:
        """Serve the locks that the passes list now, where they were proven before, and no others."""
        if self._tasks is None or self._settings.addresses:
            return
        self._look.set()
        for lock in list(self.locks.values()):
            if not self._credentials.admits(lock.lock_id):
                self._drop(lock.address)
        served = {lock.lock_id for lock in self.locks.values()}
        for address, lock_id in self._outbox.proven():
            if self._credentials.admits(lock_id) and lock_id not in served and address not in self.locks:
                self._serve(self._make(address, lock_id))

    def _serve(self, lock: LockState) -> None:
        if self._tasks is None:
            raise TransportError("edge.stopped", "locks are served while the agent runs")
        self.locks[lock.address] = lock
        self._work[lock.address] = [
            self._tasks.create_task(keep("link", lock.link.run, self._faults)),
            self._tasks.create_task(keep("delivery", lambda: self._deliver(lock), self._faults)),
        ]

    def _drop(self, address: str) -> None:
        for task in self._work.pop(address, []):
            task.cancel()
        lock = self.locks.pop(address)
        log.event("lock.dropped", address=address, lock=lock.lock_id)

    # --- strangers ---------------------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        while True:
            self._look.clear()
            try:
                self._take(await self._search(self._settings.scan_seconds))
            except TransportError as error:
                log.event("radio.unavailable", code=error.code, reason=error.message)
            await _until(self._look, self._settings.scan_every_seconds)

    def _take(self, found: list[tuple[str, bytes]]) -> None:
        others = [(address, prefix) for address, prefix in found if address not in self.locks]
        claims = [(address, self._credentials.claimed(prefix)) for address, prefix in others]
        self._sightings.heard((address, lock_id) for address, lock_id in claims if lock_id is not None)
        self._news.set()
        unlisted = sum(lock_id is None for _, lock_id in claims)
        if unlisted != self._unlisted:
            self._unlisted = unlisted
            log.event("locks.unlisted", count=unlisted)

    def _is_wanted(self, lock_id: bytes) -> bool:
        return not any(lock.lock_id == lock_id and lock.connected for lock in self.locks.values())

    async def _try_strangers(self, newcomers: bool) -> None:
        """One half of the lane: one attempt at a time. Links to proven addresses do not wait for it."""
        while True:
            address = self._sightings.next(self._is_wanted, newcomers)
            if address is None:
                self._news.clear()
                await _until(self._news, self._sightings.pause(self._is_wanted, LOOK_SECONDS))
                continue
            try:
                await self._try(address)
            finally:
                self._sightings.failed(address)

    async def _try(self, address: str) -> None:
        lock = self._make(address, b"")
        code = "lock.silent"
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await lock.prove()
        except TimeoutError:
            pass
        except FaultError as error:
            self._faults.note(error, address=address)
        except MooringError as error:
            code = error.code
        if not lock.lock_id:
            # Anybody can bring this about any number of times, so it is nothing to fill a log with.
            log.event("stranger.unproven", address=address, code=code)
            return
        log.event("lock.proven", address=address, lock=lock.lock_id)
        self._sightings.forget(address)
        for other in list(self.locks.values()):
            if other.lock_id == lock.lock_id or other.address == address:
                self._drop(other.address)
        self._serve(lock)


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
