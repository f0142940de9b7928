"""Sends messages to the province on behalf of the locks: announces a lock, asks for the time or for a new edge pass.

Any message may be lost, even after the broker has acknowledged it. So the agent repeats each message after a while.
"""

import time
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from edge_agent import log
from edge_agent.credentials import Credentials
from edge_agent.faults import Faults
from edge_agent.lock_state import LockState
from edge_agent.statement_queue import StatementQueue
from edge_agent.uplink import Uplink
from protocol import placement, uplink
from protocol.errors import StorageError
from protocol.link import Hello

ASK_TIME_SECONDS: Final = 30.0
"""Time between two requests for the time. This time is short, because a lock without the time refuses new guests."""
ANNOUNCE_SECONDS: Final = 600.0
"""Time between two announcements of the same lock. The broker may lose an announcement that it has acknowledged."""
ASK_PASS_SECONDS: Final = 30.0
"""Time between two requests for an edge pass while the agent has no pass, or while a lock has refused the pass."""
RENEW_PASS_SECONDS: Final = 6 * 3600.0
"""Time between two requests while the pass works. The province makes a new pass long before the old pass ends."""
RENEW_CERTIFICATE_SECONDS: Final = 6 * 3600.0
"""Time between two requests for a certificate, when the present one is near its end."""


@dataclass
class _Said:
    """What the agent has told the province about one lock since this connection to the broker began."""

    held: dict[str, int] | None = None
    announced_at: float = 0.0
    nonce: bytes | None = None
    asked_at: float = 0.0


class Announcements:
    """Sends announcements and requests through `uplink`. `queue` says which placements are known here."""

    def __init__(self, uplink: Uplink, credentials: Credentials, queue: StatementQueue, faults: Faults) -> None:
        self._uplink, self._credentials, self._queue, self._faults = uplink, credentials, queue, faults
        self._said: WeakKeyDictionary[LockState, _Said] = WeakKeyDictionary()
        self._asked_pass: float | None = None
        self._asked_certificate: float | None = None

    def start_over(self) -> None:
        """Send everything again. The agent calls this on each new connection to the broker."""
        self._said.clear()
        self._asked_pass = self._asked_certificate = None

    def is_announced(self, lock: LockState) -> bool:
        """Return True if the agent has announced this lock on this connection to the broker."""
        return lock in self._said and self._said[lock].held is not None

    def announce(self, lock: LockState) -> None:
        """Tell the province what the lock holds, and ask for the time. Skip what was already sent a short while ago."""
        try:
            self._announce(lock)
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            # This HELLO cannot be passed on to the province, but perhaps the lock's next HELLO can. The other locks are
            # not affected.
            lock.forget_hello()
            self._faults.note(error, address=lock.address)

    def _announce(self, lock: LockState) -> None:
        hello, now = lock.hello, time.monotonic()
        if hello is None or not self._uplink.online:
            return
        said = self._said.setdefault(lock, _Said())
        if said.held != hello.held or now - said.announced_at >= ANNOUNCE_SECONDS:
            seen = uplink.LockSeen(hello.lock_id, hello.identity_public, self._held_and_known(hello))
            if self._uplink.send(seen.encode()):
                said.held, said.announced_at = hello.held, now
        nonce = hello.time_nonce
        if nonce is not None and (said.nonce != nonce or now - said.asked_at >= ASK_TIME_SECONDS):
            if self._uplink.send(uplink.TimeRequest(hello.lock_id, nonce).encode()):
                said.nonce, said.asked_at = nonce, now
                log.event("time.requested", lock=hello.lock_id)

    def _held_and_known(self, hello: Hello) -> dict[str, int]:
        """Return what the lock holds. Leave out the placement if the agent does not know it.

        Then the province sends the placement again. The agent needs the placement, because the placement names the key
        that signs the lock's grants.
        """
        held = dict(hello.held)
        if self._queue.placement_serial(hello.lock_id) < held.get(placement.KIND, 0):
            del held[placement.KIND]
        return held

    def ask_province(self) -> None:
        """Ask for an edge pass, and for the next certificate if it is time, unless the agent has asked a short while
        ago."""
        self._ask_pass()
        self._ask_certificate()

    def _ask_certificate(self) -> None:
        now = time.monotonic()
        recently = self._asked_certificate is not None and now - self._asked_certificate < RENEW_CERTIFICATE_SECONDS
        if recently or not self._uplink.online:
            return
        self._asked_certificate = now
        try:
            request = self._uplink.identity.request()
        except StorageError as error:
            log.event("certificate.not_stored", reason=error.message)
            return
        if request is None:
            return
        if self._uplink.send(request.encode()):
            log.event("certificate.requested")
        else:
            self._asked_certificate = None

    def _ask_pass(self) -> None:
        known, now = self._credentials, time.monotonic()
        wait = ASK_PASS_SECONDS if known.refused or not known.available.is_set() else RENEW_PASS_SECONDS
        if not self._uplink.online or (self._asked_pass is not None and now - self._asked_pass < wait):
            return
        if self._uplink.send(uplink.PassRequest(known.public, known.issued_at).encode()):
            self._asked_pass = now
