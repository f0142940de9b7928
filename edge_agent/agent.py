"""The agent. The agent wires together the outbox, the uplink and the links to the locks, in one event loop.

Up: the agent stores a lock's record in the outbox and sends it to the province in a batch. Down: when a receipt comes,
the outbox deletes the records that the receipt covers. The lock gets the receipt too, and deletes these records.
Any other statement goes to the lock that the statement names. Nothing here opens a record or judges a statement.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final, Self

from edge_agent import config, log, status
from edge_agent.announcements import Announcements
from edge_agent.backoff import Backoff
from edge_agent.credentials import Credentials
from edge_agent.discovery import discover
from edge_agent.downlink import Downlink
from edge_agent.faults import Faults, keep
from edge_agent.lock_link import LockLink
from edge_agent.lock_state import Link, LinkFactory, LockState, OnHello
from edge_agent.monitor import Monitor
from edge_agent.notify import Notifier
from edge_agent.outbox import Outbox
from edge_agent.roster import Roster, Search
from edge_agent.rotation import Rotation
from edge_agent.uplink import RECONNECT, Uplink
from edge_agent.vitals import Vitals
from protocol import VERSION, crypto_cpython, placement, record, uplink
from protocol.errors import FormatError, StorageError, VerificationError
from protocol.link import Hello

TICK_SECONDS: Final = 1.0
"""Time between two rounds of housekeeping. The facts that `status` shows are at most this old."""
SHOW_SECONDS: Final = 10.0
"""The same while locks take turns, because then facts change every second. This spares the SD card."""


class Agent:
    """One edge agent. `open` makes an agent for a state directory.

    The locks that `outbox` takes for our own must be the locks in `credentials`. In tests, `make_link` and `search` are
    other functions. `reconnect` says how long the agent waits between two attempts to reach the broker.
    """

    def __init__(
        self,
        settings: config.Config,
        notifier: Notifier,
        credentials: Credentials,
        outbox: Outbox,
        *,
        make_link: LinkFactory = LockLink,
        search: Search = discover,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        self._settings, self._notifier, self._credentials, self._outbox = settings, notifier, credentials, outbox
        self._make_link = make_link
        self.rotation = Rotation(settings.locks.connections)
        self._shown: dict[str, object] = {}
        self._shown_at = 0.0
        self._expected: dict[bytes, int] = {}
        """The next counter that each lock was asked for on its connection."""
        self.faults = Faults()
        self.locks: dict[str, LockState] = {}
        """The locks that the agent serves, by address."""
        self._downlink = Downlink(outbox, self.locks, settings.province_public_key, self.faults)
        self.uplink = Uplink(
            settings,
            outbox,
            VERSION,
            on_receipts=self._downlink.on_receipts,
            on_command=self._downlink.on_command,
            on_pass=self._on_pass,
            on_online=self._on_online,
            on_offline=self._show,
            faults=self.faults,
            reconnect=reconnect,
        )
        self._announcements = Announcements(self.uplink, credentials, outbox.statements, self.faults)
        self._roster = Roster(
            settings.locks,
            credentials,
            outbox,
            self.faults,
            rotation=self.rotation,
            locks=self.locks,
            make=self._make_lock,
            deliver=self._downlink.deliver,
            search=search,
        )
        self.vitals = Vitals(settings, credentials, self.locks, self.uplink, self._downlink, self._roster, self.faults)
        """How this agent does."""

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        settings: config.Config,
        notifier: Notifier,
        *,
        make_link: LinkFactory = LockLink,
        search: Search = discover,
        reconnect: Backoff = RECONNECT,
    ) -> Iterator[Self]:
        """Yield an agent on the state directory of `settings`.

        Inside the `with` block, no other process can use the directory. Raises StorageError.
        """
        with status.only_one(settings.state_dir):
            credentials = Credentials(settings.state_dir, settings.province_public_key)
            outbox = Outbox(
                settings.outbox_path,
                max_bytes=settings.outbox.max_mb * 1_000_000,
                reserve_bytes=settings.outbox.disk_reserve_mb * 1_000_000,
                is_own=credentials.admits,
            )
            try:
                yield cls(
                    settings, notifier, credentials, outbox, make_link=make_link, search=search, reconnect=reconnect
                )
            finally:
                outbox.close()
                status.remove(settings.state_dir)
                log.event("agent.stopped")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises StorageError or ConfigError when it makes no sense to continue."""
        self.faults.watch(asyncio.get_running_loop())
        log.event("agent.started", edge=self._settings.name, version=VERSION)
        if not self._credentials.available.is_set():
            log.event("pass.none", key=self._credentials.public)
        if self._settings.province_public_key is None:
            log.event("agent.experiment")
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
            tasks.create_task(keep("uplink", self.uplink.run, self.faults))
            tasks.create_task(keep("housekeeping", self._tick, self.faults))
            tasks.create_task(keep("roster", self._roster.run, self.faults))
            tasks.create_task(keep("radio", self.rotation.care.run, self.faults))
            if self._settings.monitor.port:
                monitor = Monitor(self.vitals.text, self.vitals.unhealthy, self.vitals.unready)
                tasks.create_task(keep("monitor", lambda: monitor.run(self._settings.monitor.port), self.faults))
            self._notifier.ready()

    async def _tick(self) -> None:
        fed = 0.0
        while True:
            for lock in self.locks.values():
                if lock.connected:
                    self._announcements.announce(lock)
            self._announcements.ask_province()
            self._show()
            # Tell the watchdog only after the work is done and the disk has answered. So the watchdog acts if
            # the work or the disk hangs.
            self._outbox.check()
            self.vitals.beat()
            limit = self._notifier.watchdog_seconds
            if limit is not None and time.monotonic() - fed >= limit / 3:
                fed = time.monotonic()
                self._notifier.alive()
            await asyncio.sleep(min(TICK_SECONDS, limit / 4) if limit else TICK_SECONDS)

    def _show(self) -> None:
        unseen, now = self.rotation.unseen_seconds(), time.time()
        locks = [
            {
                "address": lock.address,
                "lock": lock.hello.lock_id.hex() if lock.hello else None,
                "connected": lock.connected,
                "version": lock.hello.software if lock.hello else None,
                "answers": not self.rotation.is_silent(lock.address),
                "visited": int(now - ago) if (ago := unseen.get(lock.address)) else None,
            }
            for lock in self.locks.values()
        ]
        shown: dict[str, object] = {"version": VERSION, "broker": self.uplink.online}
        shown |= {"strangers": self._roster.strangers, "faults": self.faults.counts}
        refusal = self._outbox.refusal
        told = None if refusal is None else {"code": refusal.code, "reason": refusal.message}
        shown |= {"unsendable": self.uplink.unsendable, "intake_refused": told}
        shown |= {"pass_end": self._credentials.not_after or None, "certificate_end": self.vitals.certificate_end}
        turns = {"within_seconds": self.rotation.bound_seconds, "longest_seconds": int(self.rotation.longest_wait)}
        # When locks take turns, something about them changes every second.
        hurry = turns["within_seconds"] is None or any(self._shown.get(name) != shown[name] for name in shown)
        shown |= {"locks": locks, "turns": turns}
        if shown != self._shown and (hurry or time.monotonic() - self._shown_at >= SHOW_SECONDS):
            self._shown, self._shown_at = shown, time.monotonic()
            # These two facts change all the time. They must not cause a write of their own.
            signals = {lock.address: lock.signal for lock in self.locks.values()}
            heard = [lock | {"signal": signals[str(lock["address"])]} for lock in locks]
            facts = shown | {"locks": heard, "disk_written": self.vitals.disk_written}
            status.write(self._settings.state_dir, facts)
            connected = sum(lock.connected for lock in self.locks.values())
            broker = "connected" if self.uplink.online else "out of reach"
            self._notifier.status(f"broker {broker}, locks connected: {connected} of {len(self.locks)}")

    # --- from the locks ----------------------------------------------------------------------------------------------

    def _make_lock(self, address: str, lock_id: bytes = b"") -> LockState:
        def make_link(on_hello: OnHello) -> Link:
            return self._make_link(
                address,
                on_hello=on_hello,
                on_record=self._on_record,
                next_counter=self._next_counter,
                credentials=self._credentials,
                credit=self._settings.locks.credit,
                rotation=self.rotation,
                faults=self.faults,
            )

        return LockState(address, make_link, self._on_hello, lock_id)

    def _on_hello(self, lock: LockState, hello: Hello) -> None:
        if placement.lock_id(crypto_cpython, hello.identity_public) != hello.lock_id:
            raise VerificationError("lock.identity", "the lock id does not belong to the key that the lock shows")
        known = lock.hello is not None and lock.hello.lock_id == hello.lock_id
        if not known or not self._announcements.is_announced(lock):
            log.event("lock.seen", lock=hello.lock_id, next_counter=hello.next_counter, address=lock.address)
        self._outbox.lock_seen(hello, lock.address)
        lock.keep_hello(hello)
        self._announcements.announce(lock)

    def _next_counter(self, hello: Hello) -> int:
        known = self._outbox.known_through(hello.lock_id)
        wanted = max(known, hello.receipted_through) + 1
        if hello.next_counter <= known:
            # The lock's journal went back to a lower counter. If the lock sends a record with a known counter, this
            # record may differ from the stored record. Then the outbox sets the new record aside as a conflict.
            log.event("lock.regressed", lock=hello.lock_id, next_counter=hello.next_counter, known_through=known)
            wanted = hello.receipted_through + 1
        self._expected[hello.lock_id] = wanted
        return wanted

    async def _on_record(self, parsed: record.Record) -> None:
        lock_id = parsed.lock_id
        try:
            outcome = self._put(parsed, self._outbox.identity(lock_id))
        except StorageError as error:
            log.event("record.not_stored", lock=lock_id, counter=parsed.counter, code=error.code, reason=error.message)
            raise
        if outcome in ("stored", "duplicate"):
            self._note_skipped(parsed)
        if outcome == "stored":
            log.event("record.stored", lock=lock_id, counter=parsed.counter, bytes=len(parsed.raw))
            self.uplink.wake()
        elif outcome == "duplicate":
            log.event("record.duplicate", lock=lock_id, counter=parsed.counter)
        else:
            log.event("record.quarantined", lock=lock_id, counter=parsed.counter, code=outcome)

    def _note_skipped(self, parsed: record.Record) -> None:
        """Note the records that the lock skipped before this one. The link has asked for them twice."""
        expected = self._expected.get(parsed.lock_id, parsed.counter)
        if parsed.counter > expected:
            self._outbox.note_absent(parsed.lock_id, expected, parsed.counter - 1)
        self._expected[parsed.lock_id] = max(expected, parsed.counter + 1)

    def _put(self, parsed: record.Record, identity_public: bytes) -> str:
        """Store a record. Return "stored", "duplicate", or the code that says why the record was set aside."""
        try:
            # Anyone in range can claim a lock's id. A forged record must not take the place of the record that the lock
            # signs later with the same counter.
            record.verify(crypto_cpython, parsed, identity_public)
        except VerificationError as error:
            self._outbox.keep_forged(parsed.lock_id, parsed.counter, parsed.raw, error.code)
            return error.code
        outcome = self._outbox.put(parsed)
        return "outbox.conflict" if outcome == "conflict" else outcome

    # --- from the province -------------------------------------------------------------------------------------------

    def _on_online(self) -> None:
        self._announcements.start_over()
        for lock in self.locks.values():
            if lock.connected:
                self._announcements.announce(lock)
        self._announcements.ask_province()
        self._show()

    def _on_pass(self, message: bytes) -> None:
        try:
            if isinstance(parsed := uplink.parse_pass(message), uplink.Certificate):
                self._on_certificate(parsed)
                return
            taken = self._credentials.take(message)
            self._downlink.doubt.good()
            if taken:
                log.event("pass.accepted", issued_at=self._credentials.issued_at, locks=len(self._credentials.locks))
                self._roster.passes_changed()
        except (FormatError, VerificationError) as error:
            log.event("pass.refused", code=error.code)
            self._downlink.doubt.bad(error.code)

    def _on_certificate(self, message: uplink.Certificate) -> None:
        try:
            if self.uplink.identity.take(message):
                self.uplink.show_next_certificate()
        except StorageError as error:
            # The connection goes on. The province sends the certificate again at the next request.
            log.event("certificate.not_stored", reason=error.message)
        except (FormatError, VerificationError) as error:
            log.event("certificate.refused", code=error.code)
