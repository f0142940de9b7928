"""Choose the locks that the agent talks to, and their addresses.

Theory of operation. An edge's own locks are the locks that a pass of the province lists. Anybody can advertise the id
of a lock. So the roster treats an address by what the address has proven:

    address      what it is                                      how it is treated
    -----------  ----------------------------------------------  ------------------------------------------------
    configured   the configuration names it                      has its turns; nothing is searched for
    proven       in a handshake, the lock there has shown the    has its turns (`edge_agent.rotation`), whatever else is
                 identity key of an own lock                     on the air; remembered on disk
    claiming     it advertises the id of an own lock             tried one after another (`edge_agent.sightings`), while
                                                                 that lock does not answer where it was proven
    unlisted     it advertises as a lock that no pass lists      counted, and never connected

    event                                       from         to
    ------------------------------------------  -----------  ------------------------------------------------------
    the lock proves itself within               claiming     proven; another address of the same lock is dropped
    PROOF_SECONDS
    it does not                                 claiming     claiming, at the end of the line
    new passes list the lock of an address      unlisted     claiming at the next scan, or proven if it was before
    new passes do not list the lock any more    proven       dropped; unlisted at the next scan
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from edge_agent import config, log
from edge_agent.backoff import until
from edge_agent.credentials import Credentials
from edge_agent.discovery import Heard
from edge_agent.faults import FaultError, Faults, keep
from edge_agent.lock_state import LockState
from edge_agent.outbox import Outbox
from edge_agent.rotation import Rotation
from edge_agent.sightings import Sightings
from protocol.errors import MooringError, TransportError

PROOF_SECONDS: Final = 20.0
"""Time limit for a stranger to connect and to prove itself. A lock that advertises needs a few seconds."""
LOOK_SECONDS: Final = 5.0
"""Maximum time between two searches for a stranger's address to try.

When a lock has lost its connection, addresses of strangers may be tried.
"""

Search = Callable[[float], Awaitable[list[Heard]]]


class Roster:
    """Serves locks and keeps them in `locks`, by address. If `settings` name addresses, the roster serves only these
    addresses.

    `make(address, lock_id)` makes a lock with its link. `lock_id` is empty if no lock has proven itself at the address.
    `deliver(lock)` hands over the statements for the lock, and runs until it is cancelled.
    """

    def __init__(
        self,
        settings: config.Locks,
        credentials: Credentials,
        outbox: Outbox,
        faults: Faults,
        *,
        rotation: Rotation,
        locks: dict[str, LockState],
        make: Callable[[str, bytes], LockState],
        deliver: Callable[[LockState], Coroutine[Any, Any, None]],
        search: Search,
    ) -> None:
        self.locks = locks
        self.rotation = rotation
        """Says when which lock has its turn."""
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
        """Number of addresses that claim to be one of our locks but have not proven it."""
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
        """Serve the locks that the new passes list, at the addresses where they proved themselves. Drop all others."""
        # A lock that refused our pass is silent. It may accept the new one.
        self.rotation.welcome()
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
            raise TransportError("edge.stopped", "locks are served only while the agent runs")
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
                self.rotation.care.note_stuck()
                log.event("radio.unavailable", code=error.code, reason=error.message)
            await until(self._look, self._settings.scan_every_seconds)

    def _take(self, found: list[Heard]) -> None:
        self.rotation.heard((each.address, each.content) for each in found)
        for each in found:
            if each.address in self.locks:
                self.locks[each.address].keep_signal(each.signal)
        others = [(each.address, each.content) for each in found if each.address not in self.locks]
        claims = [(address, self._credentials.claimed(content, self._is_wanted)) for address, content in others]
        self._sightings.heard((address, lock_id) for address, lock_id in claims if lock_id is not None)
        self._news.set()
        unlisted = sum(lock_id is None for _, lock_id in claims)
        if unlisted != self._unlisted:
            self._unlisted = unlisted
            log.event("locks.unlisted", count=unlisted)

    def _is_wanted(self, lock_id: bytes) -> bool:
        return not any(
            lock.lock_id == lock_id and not self.rotation.is_silent(address) for address, lock in self.locks.items()
        )

    async def _try_strangers(self, newcomers: bool) -> None:
        """Try strangers' addresses, one after another.

        Two of these tasks run at a time, and they take turns. Links to proven addresses do not wait for them.
        """
        while True:
            async with self.rotation.strangers:
                address = self._sightings.next(self._is_wanted, newcomers)
                if address is not None:
                    try:
                        await self._try(address)
                    finally:
                        self._sightings.failed(address)
            if address is None:
                self._news.clear()
                await until(self._news, self._sightings.pause(self._is_wanted, LOOK_SECONDS))

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
            # Anybody can cause this event again and again, so it is logged at level debug only.
            log.event("stranger.unproven", address=address, code=code)
            return
        log.event("lock.proven", address=address, lock=lock.lock_id)
        self._sightings.forget(address)
        for other in list(self.locks.values()):
            if other.lock_id == lock.lock_id or other.address == address:
                self._drop(other.address)
        self._serve(lock)
