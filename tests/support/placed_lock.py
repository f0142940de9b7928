"""A lock on CPython, on flash that may lose its power, and the province that placed it and can open its records."""

import asyncio
import itertools
from typing import Any

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
    """`lock` is the one of this boot; `store` and `flash` survive `reboot`. `platform` is the key that
    signs grants. `new_record` is set when the lock made a record that no opening made."""

    def __init__(self, store: Store, sectors: int, platform: bytes) -> None:
        self.store = store
        self.flash = MemoryFlash(sectors)
        self._platform_key = platform
        self._serials = itertools.count(1)
        self.new_record = asyncio.Event()
        identity.enrol(crypto, self.store, PROVINCE[1])
        self.lock = self.reboot()
        self.place()

    def reboot(self) -> Lock:
        """Boot again from what the flash holds."""
        own = identity.load(crypto, self.store)
        assert own is not None
        self.flash.cut_at = None
        self.lock = Lock(crypto, self.store, own, self.flash, self.new_record.set)
        return self.lock

    def take(self, kind: str, body: dict[Any, Any], signer: bytes = PROVINCE[0]) -> None:
        """Deliver a statement, which must be taken."""
        assert self.lock.deliver(statement.sign(crypto, signer, kind, body)) == (kind, None)

    def place(
        self, status: str = "active", admits: str = "named", listing: str = LISTING, platform: bytes | None = None
    ) -> None:
        """The province's next word on where the lock hangs, and for which platform from now on."""
        own = self.lock.identity
        self._platform_key = platform or self._platform_key
        chain = [pki.reader_certificate(tap.reader_root(), crypto.public("P-256", own.reader_auth_private))]
        form = Placement(
            *(next(self._serials), own.lock_id, listing, status, self._platform_key, SEALING[1]),
            *("CN", "302", chain, admits, 1),
        )
        self.take("placement", form.body())

    def answer_time(self, now: int) -> str | None:
        """Answer the lock's question for the time; the code of the refusal, or None."""
        nonce = self.lock.clock.nonce()
        assert nonce is not None
        body = SignedTime(nonce, now, self.lock.identity.lock_id).body()
        return self.lock.deliver(statement.sign(crypto, PROVINCE[0], "time", body))[1]

    def tell_time(self, now: int) -> None:
        """Answer it, if the lock asks, with a time that is taken."""
        if self.lock.clock.nonce() is not None:
            assert self.answer_time(now) is None

    def receipt(self, now: int) -> None:
        """The province has all records there are."""
        journal, lock_id = self.lock.journal, self.lock.identity.lock_id
        if journal.next_counter > 1:
            self.take("receipt", Receipt(lock_id, journal.next_counter - 1, journal.head, now).body())

    def bodies(self) -> list[dict[Any, Any]]:
        """Bodies of all records in the journal, as the province opens them."""
        return [record.open_body(crypto, data, SEALING[0]) for _, data, _ in self.lock.journal.entries_from(1)]
