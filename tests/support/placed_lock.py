"""A lock that runs on CPython and has a flash that may lose power. The province of this lock can open the lock's
records.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from firmware.hardware import console
from firmware.lock import Lock
from firmware.memory import identity
from firmware.memory.store import Store
from protocol import crypto_cpython as crypto
from protocol import record, statement
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.signed_time import SignedTime
from sim import pki
from sim.board.memory_flash import MemoryFlash
from tests.support import tap

PROVINCE, SEALING = crypto.generate("P-256"), crypto.generate("P-256")
LISTING = "HZ-1"


class PlacedLock:
    """A lock with a placement, unless `placed` is False.

    `lock` is the lock since the last boot. `store` and `flash` survive `reboot`. `platform` is the public key of the
    platform that signs grants. `new_record` is set when the lock has made a record that is not about an opening.
    `primitives` is the cryptography of the lock. `certify` makes the reader's certificate from root and public key.
    """

    def __init__(
        self,
        store: Store,
        sectors: int,
        platform: bytes,
        primitives: Any = crypto,
        certify: Callable[[pki.Identity, bytes], bytes] = pki.reader_certificate,
        placed: bool = True,
    ) -> None:
        self.primitives = primitives
        self._certify = certify
        self.store = store
        self.flash = MemoryFlash(sectors)
        self._platform_key = platform
        self._serials = itertools.count(1)
        self.new_record = asyncio.Event()
        identity.enrol(primitives, self.store, PROVINCE[1])
        self.lock = self.reboot()
        if placed:
            self.place()

    def reboot(self) -> Lock:
        """Boot again from what is in flash."""
        own = identity.load(self.primitives, self.store)
        assert own is not None
        self.flash.cut_at = None
        self.lock = Lock(self.primitives, self.store, own, self.flash, self.new_record.set)
        return self.lock

    def take(self, kind: str, body: dict[Any, Any], signer: bytes = PROVINCE[0]) -> None:
        """Deliver a statement. The lock must take it."""
        assert self.lock.deliver(statement.sign(crypto, signer, kind, body)) == (kind, None)

    def place(
        self, status: str = "active", admits: str = "named", listing: str = LISTING, platform: bytes | None = None
    ) -> None:
        """Deliver the province's next placement. The new placement can change the listing and the platform that signs
        grants.
        """
        own = self.lock.identity
        self._platform_key = platform or self._platform_key
        chain = [self._certify(tap.reader_root(), crypto.public("P-256", own.reader_auth_private))]
        form = Placement(
            *(next(self._serials), own.lock_id, listing, status, self._platform_key, SEALING[1]),
            *("CN", "302", chain, admits, 1),
        )
        self.take("placement", form.body())

    def answer_time(self, now: int) -> str | None:
        """Let the lock ask for the time, and answer with `now`. Return the code of the refusal, or None."""
        nonce = self.lock.clock.nonce()
        assert nonce is not None
        body = SignedTime(nonce, now, self.lock.identity.lock_id).body()
        return self.lock.deliver(statement.sign(crypto, PROVINCE[0], "time", body))[1]

    def tell_time(self, now: int) -> None:
        """If the lock asks for the time, answer with `now`. The lock must take the answer."""
        if self.lock.clock.nonce() is not None:
            assert self.answer_time(now) is None

    def receipt(self, now: int) -> None:
        """Deliver a receipt for all records so far."""
        journal, lock_id = self.lock.journal, self.lock.identity.lock_id
        if journal.next_counter > 1:
            self.take("receipt", Receipt(lock_id, journal.next_counter - 1, journal.head, now).body())

    def bodies(self) -> list[dict[Any, Any]]:
        """Return the bodies of all records in the journal, opened with the province's key."""
        return [
            record.open_body(crypto, record.parse(data), SEALING[0]) for _, data, _ in self.lock.journal.entries_from(1)
        ]


def why_refused() -> str | None:
    """Return what the console says about the last visit: why it failed, or None if the door opened.

    If a visit was refused, the result is the code of the refusal. If an error ended a visit, the result is the type of
    the error.
    """
    for line in reversed(console.lines().decode().splitlines()):
        _, event, *facts = line.split(" ")
        if event == "tap.opened":
            return None
        if event in ("tap.refused", "tap.failed"):
            told = dict(fact.split("=") for fact in facts)
            return told["code" if event == "tap.refused" else "error"]
    raise AssertionError("the console tells of no visit")
