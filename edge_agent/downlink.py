"""The way down: receipts into the outbox, statements and time answers to the locks that they name.

Nothing here judges a statement; the lock does. A receipt is verified before anything is forgotten on its word.
"""

from collections.abc import Callable, Iterable
from typing import Any

from edge_agent import log
from edge_agent.faults import Faults
from edge_agent.known_lock import KnownLock, Link
from edge_agent.outbox import Key, Outbox
from protocol import crypto_cpython, statement, uplink
from protocol.errors import FormatError, StorageError, TransportError, VerificationError
from protocol.receipt import Receipt
from protocol.signed_time import SignedTime


class Downlink:
    """Takes what the province sends, for `locks` (the agent's own, by address, growing as locks are found).

    `province_public` is the province's key, a 65-byte point, or None: then receipts are read for their form only.
    `settled` is told which records have left the outbox.
    """

    def __init__(
        self,
        outbox: Outbox,
        locks: dict[str, KnownLock],
        province_public: bytes | None,
        settled: Callable[[Iterable[Key]], None],
        faults: Faults | None = None,
    ) -> None:
        self._faults = faults or Faults()
        self._outbox, self._held, self._locks = outbox, outbox.held, locks
        self._province_public, self._settled = province_public, settled

    def on_receipts(self, message: uplink.Receipts) -> None:
        """Forget what is committed, keep aside what is refused. Raises StorageError."""
        # Refusals first: a receipt in the same message may pass over the refused record, which must not be forgotten.
        for refusal in message.refusals:
            moved = self._outbox.refuse(refusal.lock_id, refusal.counter, refusal.payload_hash, refusal.code)
            if moved:
                log.error("record.refused", lock=refusal.lock_id, counter=refusal.counter, code=refusal.code)
                self._settled(moved)
        for signed in message.statements:
            self._apply_receipt(signed)

    def _apply_receipt(self, signed: bytes) -> None:
        try:
            receipt = Receipt.parse(self._open(signed, "receipt"))
            gone: list[Key] = self._outbox.apply_receipt(receipt, signed)
        except (FormatError, VerificationError) as error:
            log.error("receipt.refused", code=error.code)
            return
        log.info("receipt.accepted", lock=receipt.lock_id, through=receipt.through, forgotten=len(gone))
        self._settled(gone)
        self._wake(receipt.lock_id)

    def on_command(self, message: uplink.Command) -> None:
        """Hold what is for a lock, durably. Raises StorageError."""
        for signed in message.statements:
            try:
                kind = statement.kind_of(signed)
                if kind == "receipt":
                    self._apply_receipt(signed)
                elif kind == "time":
                    self._take_time(message.lock_id, SignedTime.parse(self._open(signed, kind)), signed)
                elif not self._outbox.knows(message.lock_id):
                    # The province hears LOCK SEEN when the lock comes, and says it again.
                    log.warning("statement.unknown_lock", lock=message.lock_id, kind=kind)
                elif self._held.add(message.lock_id, kind, signed):
                    log.info("statement.held", lock=message.lock_id, kind=kind)
            except (FormatError, VerificationError) as error:
                log.error("statement.refused", lock=message.lock_id, code=error.code)
        self._wake(message.lock_id)

    def _take_time(self, lock_id: bytes, answer: SignedTime, signed: bytes) -> None:
        for lock in self._of(lock_id):
            if lock.hello is not None and lock.hello.time_nonce == answer.nonce:
                lock.time_answer = signed
                return
        log.info("time.stale", lock=lock_id)

    def _open(self, signed: bytes, kind: str) -> dict[Any, Any]:
        """Body of a province statement; verified when the province's key is configured, else for its form only."""
        if self._province_public is not None:
            return statement.open(crypto_cpython, signed, kind, self._province_public)
        return statement.read(signed, kind)

    # --- to the locks ------------------------------------------------------------------------------------------------

    def _of(self, lock_id: bytes) -> Iterable[KnownLock]:
        return [lock for lock in self._locks.values() if lock.hello is not None and lock.hello.lock_id == lock_id]

    def _wake(self, lock_id: bytes) -> None:
        for lock in self._of(lock_id):
            lock.due.set()

    async def deliver(self, lock: KnownLock) -> None:
        """Until cancelled, hand to a lock what waits for it, whenever something may."""
        while True:
            await lock.due.wait()
            lock.due.clear()
            try:
                await self._deliver_all(lock)
            except TransportError as error:
                # What was not answered stays held; the next HELLO comes back here.
                log.info("statement.waits", address=lock.address, code=error.code)
            except StorageError as error:
                # Still held, so it is handed over once more; the lock refuses or repeats what it has.
                log.error("statement.not_settled", address=lock.address, code=error.code, reason=error.message)
            except Exception as error:  # noqa: BLE001 -- contained here, and noted
                # Still held as well. The next HELLO tries again, and what waits for other locks is not concerned.
                self._faults.note(error, address=lock.address)

    async def _deliver_all(self, lock: KnownLock) -> None:
        hello, link = lock.hello, lock.link
        if hello is None or link is None or not link.connected:
            return
        waiting = self._held.waiting(hello.lock_id)
        receipts = [held for held in waiting if held.kind == "receipt"]
        for held in receipts:
            await self._hand_over(link, hello.lock_id, held.kind, held.statement)
            self._held.settle(held)
        answer, lock.time_answer = lock.time_answer, None
        if answer is not None and self._answers(lock, answer):
            await self._hand_over(link, hello.lock_id, "time", answer)
        for held in waiting[len(receipts) :]:
            await self._hand_over(link, hello.lock_id, held.kind, held.statement)
            self._held.settle(held)

    def _answers(self, lock: KnownLock, signed: bytes) -> bool:
        """Is the lock still waiting for this answer? A late one would only cost it a signature check."""
        nonce = SignedTime.parse(self._open(signed, "time")).nonce
        return lock.hello is not None and lock.hello.time_nonce == nonce

    async def _hand_over(self, link: Link, lock_id: bytes, kind: str, signed: bytes) -> None:
        try:
            code = await link.deliver(signed)
        except FormatError as error:
            code = error.code
        if code is None:
            log.info("statement.delivered", lock=lock_id, kind=kind)
        else:
            log.warning("statement.not_accepted", lock=lock_id, kind=kind, code=code)
