"""The way down: receipts and refusals for the outbox, statements and time answers for the locks that they name.

Whoever reaches our topics at the broker says there what he likes. So each statement is verified before it lets anything
go, sets anything aside, or is held; what a lock makes of one is for the lock to judge.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from edge_agent import lock_statements, log, refusals
from edge_agent.faults import Faults
from edge_agent.lock_state import Link, LockState
from edge_agent.outbox import Key, Outbox
from protocol import crypto_cpython, receipt, refusal, signed_time, statement, uplink
from protocol.errors import FormatError, StorageError, TransportError, VerificationError
from protocol.receipt import Receipt
from protocol.refusal import Refusal
from protocol.signed_time import SignedTime


class Downlink:
    """Takes what the province sends, for `locks` (the agent's own, by address, growing as locks are found).

    `province_public` is the province's key, a 65-byte point, or None in an experiment without it: then statements are
    read for their form only. `settled` is told which records have left the outbox.
    """

    def __init__(
        self,
        outbox: Outbox,
        locks: dict[str, LockState],
        province_public: bytes | None,
        settled: Callable[[Iterable[Key]], None],
        faults: Faults | None = None,
    ) -> None:
        self._faults = faults or Faults()
        self._outbox, self._queue, self._locks = outbox, outbox.statements, locks
        self._province_public, self._settled = province_public, settled

    # --- from the province -------------------------------------------------------------------------------------------

    def on_receipts(self, message: uplink.Receipts) -> None:
        """Forget what is committed, and set aside what is refused where our own check agrees. Raises StorageError."""
        # Refusals first: a receipt in the same message may pass over the refused record, which must not be forgotten.
        self._take_all(message.statements, {refusal.KIND: self._take_refusal, receipt.KIND: self._take_receipt})

    def on_command(self, message: uplink.Command) -> None:
        """Hold what is for a lock, durably. What the disk does not take comes again when the lock is seen."""
        lock_id, known = message.lock_id, self._outbox.knows(message.lock_id)
        if not known:
            # The province hears LOCK SEEN when the lock comes, and says it again.
            log.warning("statement.unknown_lock", lock=lock_id, statements=len(message.statements))
            return
        takers = {signed_time.KIND: lambda signed: self._take_time(lock_id, signed)}
        takers |= {kind: lambda signed: self._take_for_lock(lock_id, signed) for kind in lock_statements.KINDS}
        try:
            platform = self._queue.platform_key(lock_id)
            self._take_all(message.statements, takers)
            self._judge_grants(lock_id, platform)
        except StorageError as error:
            # The way up must not end for it: what goes up is what makes room.
            log.error("statement.not_queued", lock=lock_id, code=error.code, reason=error.message)
        self._wake(lock_id)

    def _take_all(self, statements: list[bytes], takers: dict[str, Callable[[bytes], None]]) -> None:
        """Give each statement to the taker of its kind, kind after kind; what is not good is counted and told."""
        refused: Counter[tuple[str, str]] = Counter()
        kinds = [_kind(signed) for signed in statements]
        for kind, take in takers.items():
            for signed in (signed for signed, its_kind in zip(statements, kinds, strict=True) if its_kind == kind):
                try:
                    take(signed)
                except (FormatError, VerificationError) as error:
                    refused[kind, error.code] += 1
        others = len([kind for kind in kinds if kind not in takers])
        if others:
            refused["?", "statement.kind"] = others
        for (kind, code), count in refused.items():
            log.error("statement.refused", kind=kind, code=code, count=count)

    def _open(self, signed: bytes, kind: str) -> dict[Any, Any]:
        """Body of a province statement; verified, but in an experiment without the province's key."""
        if self._province_public is not None:
            return statement.open(crypto_cpython, signed, kind, self._province_public)
        return statement.read(signed, kind)

    def _take_refusal(self, signed: bytes) -> None:
        self._settled(refusals.obey(self._outbox, Refusal.parse(self._open(signed, refusal.KIND))))

    def _take_receipt(self, signed: bytes) -> None:
        form = Receipt.parse(self._open(signed, receipt.KIND))
        if not self._outbox.knows(form.lock_id):
            raise VerificationError("receipt.lock", "of a lock that was never here")
        gone = self._outbox.apply_receipt(form, signed)
        log.info("receipt.accepted", lock=form.lock_id, through=form.through, forgotten=len(gone))
        self._settled(gone)
        self._wake(form.lock_id)

    def _take_for_lock(self, lock_id: bytes, signed: bytes) -> None:
        lock_statement = lock_statements.read(signed, lock_id, self._province_public, self._queue.platform_key(lock_id))
        if any(lock.holds(lock_statement.reported, lock_statement.serial) for lock in self._of(lock_id)):
            self._queue.learn(lock_id, lock_statement)
            return
        outcome = self._queue.add(lock_id, lock_statement)
        if outcome == "full":
            log.warning("statement.no_place", lock=lock_id, kind=lock_statement.kind, verified=lock_statement.verified)
        else:
            log.info(f"statement.{outcome}", lock=lock_id, kind=lock_statement.kind)

    def _judge_grants(self, lock_id: bytes, before: bytes | None) -> None:
        """Verify the grants that could not be; and all, if the placement has named another platform than `before`."""
        platform = self._queue.platform_key(lock_id)
        if platform is None or self._province_public is None:
            return
        for queued in self._queue.grants(lock_id, verified=False):
            self._take_all([queued.signed], {queued.kind: lambda signed: self._take_for_lock(lock_id, signed)})
            self._queue.settle(queued)
        for queued in self._queue.grants(lock_id, verified=True) if before not in (None, platform) else ():
            try:
                lock_statements.read(queued.signed, lock_id, self._province_public, platform)
            except VerificationError:
                log.warning("statement.outdated", lock=lock_id, kind=queued.kind)
                self._queue.settle(queued)

    def _take_time(self, lock_id: bytes, signed: bytes) -> None:
        answer = SignedTime.parse(self._open(signed, signed_time.KIND))
        if answer.lock_id != lock_id:
            raise VerificationError("time.lock", "the time is for another lock")
        for lock in self._of(lock_id):
            if lock.hello is not None and lock.hello.time_nonce == answer.nonce:
                lock.time_answer = signed
                return
        log.info("time.stale", lock=lock_id)

    # --- to the locks ------------------------------------------------------------------------------------------------

    def _of(self, lock_id: bytes) -> Iterable[LockState]:
        return [lock for lock in self._locks.values() if lock.hello is not None and lock.hello.lock_id == lock_id]

    def _wake(self, lock_id: bytes) -> None:
        for lock in self._of(lock_id):
            lock.due.set()

    async def deliver(self, lock: LockState) -> None:
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

    async def _deliver_all(self, lock: LockState) -> None:
        hello, link = lock.hello, lock.link
        if hello is None or link is None or not link.connected:
            return
        waiting = self._queue.waiting(hello.lock_id)
        receipts = [queued for queued in waiting if queued.kind == receipt.KIND]
        for queued in receipts:
            await self._hand_over(link, hello.lock_id, queued.kind, queued.signed)
            self._queue.settle(queued)
        answer, lock.time_answer = lock.time_answer, None
        if answer is not None and self._answers(lock, answer):
            await self._hand_over(link, hello.lock_id, signed_time.KIND, answer)
        for queued in waiting[len(receipts) :]:
            await self._hand_over(link, hello.lock_id, queued.kind, queued.signed)
            self._queue.settle(queued)

    def _answers(self, lock: LockState, signed: bytes) -> bool:
        """Is the lock still waiting for this answer? A late one would only cost it a signature check."""
        nonce = SignedTime.parse(self._open(signed, signed_time.KIND)).nonce
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


def _kind(signed: bytes) -> str:
    try:
        return statement.kind_of(signed)
    except FormatError:
        return "?"
