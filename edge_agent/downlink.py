"""Handles what the province sends down. Receipts and refusals go to the outbox. Statements and answers about the time
go to the locks.

Anyone who can publish on our topics at the broker can send anything. So the agent verifies each statement before the
statement removes a record from the outbox, sets a record aside, or takes a place on disk. Each lock decides for itself
whether to act on a statement.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from edge_agent import lock_statements, log, refusals
from edge_agent.faults import Faults
from edge_agent.key_doubt import KeyDoubt
from edge_agent.lock_state import Link, LockState
from edge_agent.outbox import Key, Outbox
from protocol import crypto_cpython, receipt, refusal, signed_time, statement, uplink
from protocol.errors import FormatError, MooringError, StorageError, TransportError, VerificationError
from protocol.receipt import Receipt
from protocol.refusal import Refusal
from protocol.signed_time import SignedTime
from protocol.statement import Statement


class Downlink:
    """Handles all messages from the province. `locks` is the agent's dictionary of locks by address; it can grow later.

    `province_public` is the province's key, a 65-byte point, or None in an experiment without that key. In such an
    experiment, only the form of a statement is checked.
    """

    def __init__(
        self,
        outbox: Outbox,
        locks: dict[str, LockState],
        province_public: bytes | None,
        faults: Faults,
    ) -> None:
        self._faults = faults
        self.doubt = KeyDoubt()
        """Whether `province_public` is the right key."""
        self.last_receipt: float | None = None
        """When the last receipt came, in epoch seconds; None if none came yet."""
        self.clock_offset: float | None = None
        """The province's time minus the time here, in seconds, from the last signed time; None before the first."""
        self._outbox, self._queue, self._locks = outbox, outbox.statements, locks
        self._province_public = province_public

    # --- from the province -------------------------------------------------------------------------------------------

    def on_receipts(self, message: uplink.Receipts) -> list[Key]:
        """Delete committed records. Set a refused record aside if our own check finds it bad too.

        Return the keys of the records that have left the queue. Raises StorageError. Any other unforeseen error ends
        the statement that caused it. The result also has the keys of records that left the queue before the error.
        Otherwise, the batches of these records would wait for the receipt timeout.
        """
        gone: list[Key] = []
        # Refusals come first. A receipt in the same message may cover the counter of a refused record. Such a receipt
        # would delete that record.
        receipts: list[Statement] = []
        takers: dict[str, Callable[[Statement], None]] = {
            refusal.KIND: lambda signed: self._collect(gone, signed),
            receipt.KIND: receipts.append,
        }
        self._take_all(message.statements, takers)
        self._take_receipts(receipts, gone)
        return gone

    def on_command(self, message: uplink.Command) -> None:
        """Put the statements for a lock into the queue on disk. If the disk fails, the statements come again when the
        lock is next seen.
        """
        lock_id, known = message.lock_id, self._outbox.knows(message.lock_id)
        if not known:
            # When this lock connects later, the agent sends LOCK SEEN, and the province sends the statements again.
            log.event("statement.unknown_lock", lock=lock_id, statements=len(message.statements))
            return
        takers = {signed_time.KIND: lambda signed: self._take_time(lock_id, signed)}
        takers |= {kind: lambda signed: self._take_for_lock(lock_id, signed) for kind in lock_statements.KINDS}
        try:
            platform = self._queue.platform_key(lock_id)
            self._take_all(message.statements, takers)
            self._judge_grants(lock_id, platform)
        except StorageError as error:
            # The connection must stay up: a full disk gets room only when records go up and receipts come back.
            log.event("statement.not_queued", lock=lock_id, code=error.code, reason=error.message)
        self._wake(lock_id)

    def _take_all(self, statements: list[bytes], takers: dict[str, Callable[[Statement], None]]) -> None:
        """Pass each statement to the function for its kind, kind by kind. Count and log refused statements."""
        refused: Counter[tuple[str, str]] = Counter()
        parsed = [signed for signed in map(_parsed, statements) if signed is not None]
        for kind, take in takers.items():
            for signed in (signed for signed in parsed if signed.kind == kind):
                try:
                    take(signed)
                except (FormatError, VerificationError) as error:
                    refused[kind, error.code] += 1
        others = len(statements) - len([signed for signed in parsed if signed.kind in takers])
        if others:
            refused["?", "statement.kind"] = others
        self._tell_refused(refused)

    def _tell_refused(self, refused: Counter[tuple[str, str]]) -> None:
        for (kind, code), count in refused.items():
            log.event("statement.refused", kind=kind, code=code, count=count)
            self.doubt.bad(code)

    def _open(self, signed: Statement, kind: str) -> dict[Any, Any]:
        """Return the body of a statement by the province. The statement is verified, except in an experiment without
        the province's key."""
        if self._province_public is not None:
            body = signed.open(crypto_cpython, kind, self._province_public)
            self.doubt.good()
            return body
        return signed.read(kind)

    def _collect(self, gone: list[Key], signed: Statement) -> None:
        """Obey a refusal. Add each key to `gone` as soon as its record has left the queue."""
        try:
            form = Refusal.parse(self._open(signed, refusal.KIND))
            for key in refusals.obey(self._outbox, form):
                gone.append(key)
        except MooringError:
            raise
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            self._faults.note(error, kind=signed.kind)

    def _take_receipts(self, statements: list[Statement], gone: list[Key]) -> None:
        """Apply the receipts of a message. Add the keys of the records that have left the queue to `gone`.

        Receipts are cumulative, so the highest one of each lock is enough. If it is refused, the lock's chain may have
        a break, and each side has a receipt of its own: then all of this lock's receipts are applied in order.
        """
        refused: Counter[tuple[str, str]] = Counter()
        by_lock: dict[bytes, list[tuple[Receipt, Statement]]] = {}
        for signed in statements:
            try:
                form = Receipt.parse(signed.read(receipt.KIND))
            except (FormatError, VerificationError) as error:
                refused[receipt.KIND, error.code] += 1
            else:
                by_lock.setdefault(form.lock_id, []).append((form, signed))
        wrong = self._apply([max(those, key=lambda one: one[0].through) for those in by_lock.values()], gone)
        for lock_id, code in wrong.items():
            one_by_one = by_lock[lock_id] if len(by_lock[lock_id]) > 1 else []
            codes = [code for each in one_by_one for code in self._apply([each], gone).values()]
            for each_code in codes if one_by_one else [code]:
                refused[receipt.KIND, each_code] += 1
        self._tell_refused(refused)

    def _apply(self, receipts: list[tuple[Receipt, Statement]], gone: list[Key]) -> dict[bytes, str]:
        """Verify receipts of different locks, and apply them together. Return the code for each lock whose receipt was
        refused."""
        wrong: dict[bytes, str] = {}
        good: list[tuple[Receipt, bytes]] = []
        for form, signed in receipts:
            try:
                verified = Receipt.parse(self._open(signed, receipt.KIND))
                if not self._outbox.knows(verified.lock_id):
                    raise VerificationError("receipt.lock", "the receipt is for a lock that was never seen here")
                good.append((verified, signed.data))
            except (FormatError, VerificationError) as error:
                wrong[form.lock_id] = error.code
        try:
            keys, refused = self._outbox.apply_receipts(good)
        except MooringError:
            raise
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            self._faults.note(error, kind=receipt.KIND)
            return wrong
        gone += keys
        wrong |= {form.lock_id: error.code for form, error in refused}
        forgotten = Counter(lock_id for lock_id, _ in keys)
        for form, _ in good:
            if form.lock_id not in wrong:
                facts = {"lock": form.lock_id, "through": form.through, "forgotten": forgotten[form.lock_id]}
                self.last_receipt = time.time()
                log.event("receipt.accepted", **facts)
                self._wake(form.lock_id)
        return wrong

    def _take_for_lock(self, lock_id: bytes, signed: Statement) -> None:
        form = lock_statements.read(signed, lock_id, self._province_public, self._queue.platform_key(lock_id))
        if any(lock.holds(form.reported_as, form.serial) for lock in self._of(lock_id)):
            self._queue.learn(lock_id, form)
            return
        outcome = self._queue.add(lock_id, form)
        if outcome == "queued":
            log.event("statement.queued", lock=lock_id, kind=form.kind)
        elif outcome == "older":
            log.event("statement.older", lock=lock_id, kind=form.kind)
        else:
            log.event("statement.no_place", lock=lock_id, kind=form.kind, verified=form.verified)

    def _judge_grants(self, lock_id: bytes, before: bytes | None) -> None:
        """Verify the grants that could not be verified before. Verify all grants if the platform's key has changed.

        `before` is the platform's key that the agent knew before this message.
        """
        platform = self._queue.platform_key(lock_id)
        if platform is None or self._province_public is None:
            return
        for queued in self._queue.grants(lock_id, verified=False):
            self._take_all([queued.signed], {queued.kind: lambda signed: self._take_for_lock(lock_id, signed)})
            self._queue.settle(queued)
        for queued in self._queue.grants(lock_id, verified=True) if before not in (None, platform) else ():
            try:
                lock_statements.read(statement.parse(queued.signed), lock_id, self._province_public, platform)
            except VerificationError:
                log.event("statement.outdated", lock=lock_id, kind=queued.kind)
                self._queue.settle(queued)

    def _take_time(self, lock_id: bytes, signed: Statement) -> None:
        answer = SignedTime.parse(self._open(signed, signed_time.KIND))
        if answer.lock_id != lock_id:
            raise VerificationError("time.lock", "the time is for another lock")
        for lock in self._of(lock_id):
            if lock.hello is not None and lock.hello.time_nonce == answer.nonce:
                self.clock_offset = round(answer.time - time.time(), 3)
                lock.keep_time_answer(answer.nonce, signed.data)
                return
        log.event("time.stale", lock=lock_id)

    # --- to the locks ------------------------------------------------------------------------------------------------

    def _of(self, lock_id: bytes) -> Iterable[LockState]:
        return [lock for lock in self._locks.values() if lock.hello is not None and lock.hello.lock_id == lock_id]

    def _wake(self, lock_id: bytes) -> None:
        for lock in self._of(lock_id):
            lock.due.set()

    async def deliver(self, lock: LockState) -> None:
        """Hand waiting statements over to a lock. Look again whenever `due` is set. Run until cancelled."""
        while True:
            await lock.due.wait()
            lock.due.clear()
            try:
                await self._deliver_all(lock)
            except TransportError as error:
                # A statement without an answer stays in the queue. The next HELLO starts another delivery.
                log.event("statement.waits", address=lock.address, code=error.code)
            except StorageError as error:
                # The statement is still in the queue and is handed over once more. The lock then refuses the statement,
                # because the lock already has it.
                log.event("statement.not_settled", address=lock.address, code=error.code, reason=error.message)
            except Exception as error:  # noqa: BLE001 -- contained here, and noted
                # The statement is still in the queue. The agent tries again after the next HELLO. Deliveries to other
                # locks go on.
                self._faults.note(error, address=lock.address)

    async def _deliver_all(self, lock: LockState) -> None:
        hello, link = lock.hello, lock.link
        if hello is None or not link.connected:
            return
        waiting = self._queue.waiting(hello.lock_id)
        receipts = [queued for queued in waiting if queued.kind == receipt.KIND]
        for queued in receipts:
            await self._hand_over(link, hello.lock_id, queued.kind, queued.signed)
            self._queue.settle(queued)
        answer = lock.take_time_answer()
        if answer is not None:
            await self._hand_over(link, hello.lock_id, signed_time.KIND, answer)
        for queued in waiting[len(receipts) :]:
            await self._hand_over(link, hello.lock_id, queued.kind, queued.signed)
            self._queue.settle(queued)

    async def _hand_over(self, link: Link, lock_id: bytes, kind: str, signed: bytes) -> None:
        try:
            code = await link.deliver(signed)
        except FormatError as error:
            code = error.code
        if code is None:
            log.event("statement.delivered", lock=lock_id, kind=kind)
        else:
            log.event("statement.not_accepted", lock=lock_id, kind=kind, code=code)


def _parsed(data: bytes) -> Statement | None:
    try:
        return statement.parse(data)
    except (FormatError, VerificationError):
        return None
