"""The agent: links to locks, outbox and uplink wired together in one event loop.

Up: record, outbox, batch. Down: receipt into the outbox, which forgets, and on to the lock, which forgets; statements
to the lock that they name. Nothing here opens a record or judges a statement.
"""

import asyncio
import time
from typing import Final

from edge_agent import config, log, status
from edge_agent.credentials import Credentials
from edge_agent.discovery import discover
from edge_agent.downlink import Downlink
from edge_agent.faults import Faults, keep
from edge_agent.lock_link import CONNECTING_AT_ONCE, LockLink
from edge_agent.lock_state import LinkFactory, LockState
from edge_agent.notify import Notifier
from edge_agent.outbox import Outbox
from edge_agent.roster import Roster, Search
from edge_agent.uplink import Uplink
from protocol import crypto_cpython, placement, record, uplink
from protocol.errors import FormatError, StorageError, VerificationError
from protocol.link import Hello
from protocol.version import VERSION

TICK_SECONDS: Final = 1.0
"""Housekeeping; also the longest that a `status` command lags behind."""
ASK_TIME_SECONDS: Final = 30.0
"""A lock that waits for the time refuses new guests, so an unanswered request is repeated soon."""
ANNOUNCE_SECONDS: Final = 600.0
"""Locks in reach are announced again: a broker may have lost the last announcement, acknowledged or not."""
ASK_PASS_SECONDS: Final = 30.0
"""Between requests for an edge pass while there is none, or a lock has refused the one there is."""
RENEW_PASS_SECONDS: Final = 6 * 3600.0
"""Between requests otherwise: the province answers when it has a newer one, which it makes long before the end."""


class Agent:
    """One edge agent on one state directory. `make_link` and `search` stand for `LockLink` and `discover`."""

    def __init__(
        self,
        settings: config.Config,
        notifier: Notifier,
        *,
        make_link: LinkFactory = LockLink,
        search: Search = discover,
    ) -> None:
        self._settings, self._notifier = settings, notifier
        self._make_link, self._search = make_link, search
        self._outbox: Outbox
        self._downlink: Downlink
        self._credentials: Credentials
        self._roster: Roster
        self._asked_pass: float | None = None
        self._uplink: Uplink
        self._locks: dict[str, LockState] = {}
        self._gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._shown: dict[str, object] = {}
        self._faults = Faults()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises StorageError or ConfigError when there is no use in going on."""
        settings = self._settings
        self._faults.watch(asyncio.get_running_loop())
        with status.only_one(settings.state_dir):
            self._outbox = Outbox(
                settings.outbox_path,
                max_bytes=settings.outbox.max_mb * 1_000_000,
                reserve_bytes=settings.outbox.disk_reserve_mb * 1_000_000,
                is_own=lambda lock_id: self._credentials.admits(lock_id),
            )
            try:
                self._credentials = Credentials(settings.state_dir, settings.province_public_key)
                self._uplink = Uplink(
                    settings,
                    self._outbox,
                    VERSION,
                    on_receipts=lambda message: self._downlink.on_receipts(message),
                    on_command=lambda message: self._downlink.on_command(message),
                    on_pass=self._on_pass,
                    on_online=self._on_online,
                    on_offline=self._show,
                    faults=self._faults,
                )
                self._downlink = Downlink(
                    self._outbox,
                    self._locks,
                    settings.province_public_key,
                    self._uplink.settled,
                    self._faults,
                )
                self._roster = Roster(
                    settings.locks,
                    self._credentials,
                    self._outbox,
                    self._faults,
                    locks=self._locks,
                    make=self._make_lock,
                    deliver=self._downlink.deliver,
                    search=self._search,
                )
                await self._work_until(stop)
            finally:
                self._outbox.close()
                status.remove(settings.state_dir)
                log.info("agent.stopped")

    async def _work_until(self, stop: asyncio.Event) -> None:
        log.info("agent.started", edge=self._settings.name, version=VERSION)
        if not self._credentials.available.is_set():
            key, reason = self._credentials.public, "locks are not connected before the province has given one"
            log.warning("pass.none", key=key, reason=reason)
        if self._settings.province_public_key is None:
            log.warning(
                "agent.experiment", reason="no province_public_key: whoever reaches the broker is believed here"
            )
        worker, stopper = asyncio.ensure_future(self._work()), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({worker, stopper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._notifier.stopping()
            worker.cancel()
            stopper.cancel()
            results = await asyncio.gather(worker, stopper, return_exceptions=True)
        failure = results[0]
        if isinstance(failure, BaseException) and not isinstance(failure, asyncio.CancelledError):
            while isinstance(failure, BaseExceptionGroup):
                failure = failure.exceptions[0]
            raise failure

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep("uplink", self._uplink.run, self._faults))
            tasks.create_task(keep("housekeeping", self._tick, self._faults))
            tasks.create_task(keep("roster", self._roster.run, self._faults))
            self._notifier.ready()

    def _make_lock(self, address: str) -> LockState:
        lock = LockState(address)

        async def on_hello(hello: Hello) -> None:
            self._on_hello(lock, hello)

        lock.link = self._make_link(
            address,
            on_hello=on_hello,
            on_record=self._on_record,
            next_counter=self._next_counter,
            credentials=self._credentials,
            credit=self._settings.locks.credit,
            gate=self._gate,
            faults=self._faults,
        )
        return lock

    async def _tick(self) -> None:
        fed = 0.0
        while True:
            for lock in self._locks.values():
                if lock.connected:
                    self._announce(lock)
            self._ask_pass()
            self._show()
            # Fed here, after work was done and the disk has answered, so that the watchdog sees a hang of either.
            self._outbox.check()
            limit = self._notifier.watchdog_seconds
            if limit is not None and time.monotonic() - fed >= limit / 3:
                fed = time.monotonic()
                self._notifier.alive()
            await asyncio.sleep(min(TICK_SECONDS, limit / 4) if limit else TICK_SECONDS)

    def _show(self) -> None:
        locks = [
            {
                "address": lock.address,
                "lock": lock.hello.lock_id.hex() if lock.hello else None,
                "connected": lock.connected,
            }
            for lock in self._locks.values()
        ]
        shown: dict[str, object] = {"broker": self._uplink.online, "locks": locks}
        shown |= {"strangers": self._roster.strangers, "faults": self._faults.counts}
        if shown != self._shown:
            self._shown = shown
            status.write(self._settings.state_dir, shown)
            connected = sum(lock.connected for lock in self._locks.values())
            broker = "connected" if self._uplink.online else "out of reach"
            self._notifier.status(f"broker {broker}, locks connected: {connected} of {len(self._locks)}")

    # --- from the locks ----------------------------------------------------------------------------------------------

    def _on_hello(self, lock: LockState, hello: Hello) -> None:
        if placement.lock_id(crypto_cpython, hello.identity_public) != hello.lock_id:
            raise VerificationError("lock.identity", "the lock id is not that of the key it shows")
        if lock.hello is None or lock.hello.lock_id != hello.lock_id or lock.announced is None:
            log.info("lock.seen", lock=hello.lock_id, next_counter=hello.next_counter, address=lock.address)
        self._outbox.lock_seen(hello, lock.address)
        lock.hello, lock.lock_id = hello, hello.lock_id
        self._announce(lock)
        lock.due.set()

    def _next_counter(self, hello: Hello) -> int:
        known = self._outbox.known_through(hello.lock_id)
        if hello.next_counter <= known:
            # Its journal went back. What it sends again is either what we have, or a conflict to be kept aside.
            log.error("lock.regressed", lock=hello.lock_id, next_counter=hello.next_counter, known_through=known)
            return hello.receipted_through + 1
        return max(known, hello.receipted_through) + 1

    async def _on_record(self, lock_id: bytes, data: bytes) -> None:
        parsed = record.parse(data)
        try:
            outcome = self._put(parsed, self._outbox.identity(lock_id))
        except StorageError as error:
            log.error("record.not_stored", lock=lock_id, counter=parsed.counter, code=error.code, reason=error.message)
            raise
        if outcome == "stored":
            log.info("record.stored", lock=lock_id, counter=parsed.counter, bytes=len(data))
            self._uplink.wake()
        elif outcome == "duplicate":
            log.debug("record.duplicate", lock=lock_id, counter=parsed.counter)
        else:
            log.error("record.quarantined", lock=lock_id, counter=parsed.counter, code=outcome)

    def _put(self, parsed: record.Record, identity_public: bytes) -> str:
        """Store a record; returns "stored", "duplicate", or the code under which it was kept aside."""
        try:
            # Anyone in range can claim a lock's id. A record that the lock did not sign must not take the place of the
            # one that it will sign.
            record.verify(crypto_cpython, parsed, identity_public)
        except VerificationError as error:
            self._outbox.keep_forged(parsed.lock_id, parsed.counter, parsed.raw, error.code)
            return error.code
        outcome = self._outbox.put(parsed)
        return "outbox.conflict" if outcome == "conflict" else outcome

    # --- to the province ---------------------------------------------------------------------------------------------

    def _on_online(self) -> None:
        for lock in self._locks.values():
            lock.announced = lock.asked = None
            if lock.connected:
                self._announce(lock)
        self._asked_pass = None
        self._ask_pass()
        self._show()

    def _ask_pass(self) -> None:
        """Ask the province for an edge pass, if that was not done a short while ago."""
        known, now = self._credentials, time.monotonic()
        wait = ASK_PASS_SECONDS if known.refused or not known.available.is_set() else RENEW_PASS_SECONDS
        if not self._uplink.online or (self._asked_pass is not None and now - self._asked_pass < wait):
            return
        if self._uplink.send(uplink.PassRequest(known.public, known.issued_at).encode()):
            self._asked_pass = now

    def _on_pass(self, signed: bytes) -> None:
        try:
            if self._credentials.take(signed):
                log.info("pass.accepted", issued_at=self._credentials.issued_at, locks=len(self._credentials.locks))
                self._roster.passes_changed()
        except (FormatError, VerificationError) as error:
            log.error("pass.refused", code=error.code)

    def _held_by_both(self, hello: Hello) -> dict[str, int]:
        """What the lock holds, less its placement if that is unknown here: it tells genuine grants from junk."""
        held = dict(hello.held)
        if self._outbox.statements.placement_serial(hello.lock_id) < held.get(placement.KIND, 0):
            del held[placement.KIND]
        return held

    def _announce(self, lock: LockState) -> None:
        """Tell the province what a lock holds, and ask the time for it, unless that was done a short while ago."""
        try:
            self._tell(lock)
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            # Of what this lock says nothing can be made; its next HELLO may be better. Other locks are not concerned.
            lock.hello = None
            self._faults.note(error, address=lock.address)

    def _tell(self, lock: LockState) -> None:
        hello, now = lock.hello, time.monotonic()
        if hello is None or not self._uplink.online:
            return
        told = lock.announced
        if told is None or told[0] != hello.held or now - told[1] >= ANNOUNCE_SECONDS:
            seen = uplink.LockSeen(hello.lock_id, hello.identity_public, self._held_by_both(hello))
            if self._uplink.send(seen.encode()):
                lock.announced = (hello.held, now)
        nonce = hello.time_nonce
        asked = lock.asked
        if nonce is not None and (asked is None or asked[0] != nonce or now - asked[1] >= ASK_TIME_SECONDS):
            if self._uplink.send(uplink.TimeRequest(hello.lock_id, nonce).encode()):
                lock.asked = (nonce, now)
                log.info("time.requested", lock=hello.lock_id)
