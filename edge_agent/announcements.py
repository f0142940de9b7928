"""What the agent tells and asks the province on behalf of its locks: which lock is here, the time, a new edge pass.

Any message may be lost, even after the broker has acknowledged it. So each is repeated, but not sooner than is useful.
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
from protocol.link import Hello

ASK_TIME_SECONDS: Final = 30.0
"""Between two requests for the time. A lock that waits for the time refuses new guests, so this is short."""
ANNOUNCE_SECONDS: Final = 600.0
"""Between two announcements of the same lock. A broker may have lost the last one, even after acknowledging it."""
ASK_PASS_SECONDS: Final = 30.0
"""Between two requests for an edge pass while there is none, or while a lock has refused the one there is."""
RENEW_PASS_SECONDS: Final = 6 * 3600.0
"""Between two requests otherwise. The province answers when it has a newer pass, which it makes long before the end."""


@dataclass
class _Said:
    """What the province was told of a lock, and asked for it, on this connection to the broker."""

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

    def start_over(self) -> None:
        """On a new connection to the broker everything is said again."""
        self._said.clear()
        self._asked_pass = None

    def is_announced(self, lock: LockState) -> bool:
        """Has the province been told of this lock on this connection to the broker?"""
        return lock in self._said and self._said[lock].held is not None

    def announce(self, lock: LockState) -> None:
        """Tell the province what the lock holds, and ask the time for it, unless that was done a short while ago."""
        try:
            self._announce(lock)
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            # This HELLO cannot be reported; the lock's next one may be better. Other locks are not concerned.
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
        """What the lock holds, without its placement if that is unknown here: then the province sends it again.

        The agent needs the placement too, because it names the key that signs the lock's grants.
        """
        held = dict(hello.held)
        if self._queue.placement_serial(hello.lock_id) < held.get(placement.KIND, 0):
            del held[placement.KIND]
        return held

    def ask_pass(self) -> None:
        """Ask the province for an edge pass, unless that was done a short while ago."""
        known, now = self._credentials, time.monotonic()
        wait = ASK_PASS_SECONDS if known.refused or not known.available.is_set() else RENEW_PASS_SECONDS
        if not self._uplink.online or (self._asked_pass is not None and now - self._asked_pass < wait):
            return
        if self._uplink.send(uplink.PassRequest(known.public, known.issued_at).encode()):
            self._asked_pass = now
