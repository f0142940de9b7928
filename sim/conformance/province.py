"""Judges a province, one clause after the other. Each clause is a method, named after what it is about."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Final

from protocol import crypto_cpython as crypto
from protocol import placement, record, uplink
from protocol.edge_pass import EdgePass
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.refusal import EQUIVOCATION
from sim.conformance.clauses import PROVINCE
from sim.conformance.courier import Courier
from sim.conformance.kit import EDGE, PROFILE, Kit, PaperLock
from sim.conformance.verdict import BrokenError, UnjudgedError, Verdict

DEADLINE_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 1.0
"""How long the judge waits at the end for messages that should not come. Several consumers may answer in any order."""
CLOCK_SECONDS: Final = 300
"""Most by which the province's clock and the judge's clock may differ."""
RETRY_SECONDS: Final = 1.0
"""Wait before a message is sent again to a province that was killed. Until it is back, messages are lost."""

JUNK: Final = (b"", b"\xff" * 64, b"\x83\x01\x41\x00\x80", b"\x83\x09\x00\x00", b"\x9f" * 64, b"\x5b" + b"\xff" * 8)
"""Messages on `up` that mean nothing: empty, no CBOR, wrong members, unknown kind, endless, longer than memory."""

_NUMBERED: Final = ("placement", "profile", "trust-list")

Restart = Callable[[], Awaitable[None]]
_Step = Callable[[], Awaitable[None]]


class ProvinceJudge:
    """Judges the province behind a courier. `restart` kills the province and starts it again, or is None.

    `records` is the number of records in the large batch, at most `uplink.MAX_RECORDS`.
    """

    def __init__(self, courier: Courier, kit: Kit, restart: Restart | None, records: int, settle: float) -> None:
        self._courier, self._kit, self._restart = courier, kit, restart
        self._records, self._settle = records, settle
        self._sealing: dict[str, bytes] = {}
        self._forbidden: list[tuple[str, str, Callable[[], str | None]]] = []
        self._clause = ""
        for lock in kit.locks.values():
            courier.note_sent(lock.records)

    async def judge(self, wanted: Collection[str], begins: Callable[[str], None]) -> AsyncIterator[Verdict]:
        """Judge the clauses `wanted`, and yield a verdict on each. `begins(clause)` is called before each.

        If something that must not come arrives late, the clause gets a second verdict.
        """
        steps: dict[str, _Step] = dict(zip(PROVINCE, self._steps(), strict=False))
        passed = []
        for clause in [clause for clause in steps if clause in wanted]:
            begins(clause)
            self._clause = clause
            verdict = await self._verdict(steps[clause])
            passed += [clause] if verdict.outcome == "pass" else []
            yield verdict
        begins("messages that should not come")
        await self._courier.within(lambda: None, self._settle)
        for clause in passed:
            late = self._broken(clause)
            if late is not None:
                yield late
        for clause in [clause for clause in PROVINCE if clause in wanted and clause not in steps]:
            if clause in self._courier.flaws:
                yield Verdict(clause, PROVINCE[clause], "fail", *self._courier.flaws[clause])
            elif not self._courier.messages:
                yield Verdict(clause, PROVINCE[clause], "unjudged", "", "no message came")
            else:
                yield Verdict(clause, PROVINCE[clause], "pass")

    async def _verdict(self, step: _Step) -> Verdict:
        clause = self._clause
        try:
            await step()
        except BrokenError as broken:
            return Verdict(clause, PROVINCE[clause], "fail", broken.expected, broken.came)
        except UnjudgedError as why:
            return Verdict(clause, PROVINCE[clause], "unjudged", "", str(why))
        return self._broken(clause) or Verdict(clause, PROVINCE[clause], "pass")

    def _broken(self, clause: str) -> Verdict | None:
        for of, expected, find in self._forbidden:
            came = find() if of == clause else None
            if came is not None:
                return Verdict(clause, PROVINCE[clause], "fail", expected, came)
        return None

    def _steps(self) -> list[_Step]:
        return [
            *(self._passes, self._passes_again, self._papers, self._papers_again, self._wrong_identity),
            *(self._time, self._time_of_stranger, self._receipt, self._batch_again, self._twice_in_one, self._gap),
            *(self._any_order, self._sealed, self._chain, self._doubled, self._forged, self._stranger, self._junk),
            *(self._junk_in_batch, self._latest_receipt, self._grants, self._full, self._killed),
        ]

    # --- what the steps share ----------------------------------------------------------------------------------------

    def _forbid(self, expected: str, find: Callable[[], str | None]) -> None:
        """From now on, `find()` must return None. Otherwise it returns what came."""
        self._forbidden.append((self._clause, expected, find))

    def _lock(self, role: str) -> PaperLock:
        return self._kit.locks[role]

    async def _see(self, lock: PaperLock, identity: bytes = b"", held: dict[str, int] | None = None) -> None:
        await self._courier.send(uplink.LockSeen(lock.lock_id, identity or lock.public, held or {}).encode())

    async def _quiet(self) -> None:
        await self._courier.settled(self._lock("papers").lock_id)

    async def _ready(self, role: str) -> PaperLock:
        """Return a lock whose sealing key is known, and all of whose earlier records have a receipt."""
        lock, courier = self._lock(role), self._courier
        if role in self._sealing:
            return lock
        await self._see(lock)
        paper = await courier.within(lambda: self._placement(lock), courier.deadline)
        if paper is None:
            raise UnjudgedError(f"no placement of lock {lock.lock_id.hex()} came, so its records cannot be sealed")
        self._sealing[role] = paper.sealing_key
        for at in range(0, len(lock.records), 64):
            await courier.batch(*lock.records[at : at + 64])
        if lock.records:
            await self._receipt_for(lock)
        return lock

    def _placement(self, lock: PaperLock) -> Placement | None:
        said = [each.form for each in self._courier.for_lock(lock.lock_id) if each.kind == placement.KIND]
        return next((form for form in said if form.lock_id == lock.lock_id), None)

    def _append(self, lock: PaperLock, count: int = 1, previous: bytes | None = None) -> list[bytes]:
        return lock.append(self._sealing[lock.role], count, previous)

    async def _deliver(self, *records: bytes) -> None:
        """Send records that their lock has signed, each once for its counter."""
        self._courier.note_sent(records)
        await self._courier.batch(*records)

    async def _receipt_for(self, lock: PaperLock, since: int = 0, through: int = 0) -> Receipt:
        """Wait for a receipt that reaches `through`, by default the lock's last record."""
        wanted = through or len(lock.records)
        courier = self._courier

        def find() -> Receipt | None:
            came = courier.receipts(lock.lock_id, since)
            return next((each for each in came if each.through >= wanted), None)

        def came() -> str:
            highest = max((each.through for each in courier.receipts(lock.lock_id, since)), default=0)
            refused = [entry[2] for entry in courier.refused(lock.lock_id)]
            told = f"a receipt through {highest}" if highest else "no receipt"
            return f"{told} and a refusal ({refused[-1]})" if refused else told

        receipt = await courier.until(find, f"a receipt through {wanted}", came)
        head = record.head(lock.records[wanted - 1])
        if (receipt.through, receipt.head) != (wanted, head):
            raise BrokenError(
                f"through {wanted}, head {head.hex()[:16]}…", f"through {receipt.through}, {receipt.head.hex()[:16]}…"
            )
        return receipt

    # --- passes ------------------------------------------------------------------------------------------------------

    async def _passes(self) -> None:
        kit, courier = self._kit, self._courier
        await courier.send(uplink.PassRequest(kit.link_public, 0).encode())
        wanted = {lock.lock_id for lock in kit.locks.values()}

        def find() -> list[EdgePass] | None:
            came = courier.passes()
            newest = [each for each in came if each.issued_at == max(one.issued_at for one in came)]
            return newest if newest and len(newest) == newest[0].parts else None

        await courier.until(find, "passes, all of them in one message", lambda: f"{len(courier.passes())} passes")
        newest = find() or []
        if {each.edge for each in newest} != {EDGE} or {each.edge_public for each in newest} != {kit.link_public}:
            raise BrokenError(f"passes for edge {EDGE} and its key", "a pass for another edge or key")
        listed = [lock_id for each in newest for lock_id in each.locks]
        if not wanted <= set(listed) or len(listed) != len(set(listed)):
            raise BrokenError("each lock of the kit once", f"{len(wanted & set(listed))} of {len(wanted)} locks")
        if min(each.not_after for each in newest) <= time.time():
            raise BrokenError("passes that are valid now", "a pass that has ended")

    async def _passes_again(self) -> None:
        courier, stranger = self._courier, crypto.generate("P-256")[1]
        if not courier.passes():
            await courier.send(uplink.PassRequest(self._kit.link_public, 0).encode())
            await courier.within(lambda: courier.passes() or None, courier.deadline)
        if not courier.passes():
            raise UnjudgedError("no pass came, see P1")
        since, newest = courier.mark(), max(each.issued_at for each in courier.passes())
        self._forbid("no pass that is not newer", lambda: _stale(courier.passes(since), newest))
        self._forbid("no pass for another key", lambda: _of_key(courier.passes(), stranger))
        await courier.send(uplink.PassRequest(self._kit.link_public, newest).encode())
        await courier.send(uplink.PassRequest(stranger, 0).encode())
        await self._quiet()

    # --- papers and time ---------------------------------------------------------------------------------------------

    async def _papers(self) -> None:
        lock, courier = self._lock("papers"), self._courier
        since = courier.mark()
        await self._see(lock)

        def kinds() -> list[str]:
            return [said.kind for said in courier.for_lock(lock.lock_id, since)]

        def complete() -> bool | None:
            return {"placement", "profile"} <= set(kinds()) or None

        await courier.until(complete, "a placement and a profile", lambda: ", ".join(kinds()) or "nothing")
        paper = self._placement(lock)
        told = None if paper is None else (paper.listing, paper.profile_id, paper.platform_key)
        if told != (lock.listing, PROFILE, self._kit.platform_public):
            raise BrokenError("the listing, profile and platform key that were registered", "other values")

    async def _papers_again(self) -> None:
        lock, courier = self._lock("held"), self._courier

        def serials() -> dict[str, int] | None:
            came = {said.kind: said.form.serial for said in courier.for_lock(lock.lock_id) if said.kind in _NUMBERED}
            return came if {"placement", "profile"} <= set(came) else None

        await self._see(lock)
        held = await courier.within(serials, courier.deadline)
        if held is None:
            raise UnjudgedError("placement and profile did not come, see P3")
        await self._quiet()
        since = courier.mark()
        held = serials() or {}

        def again() -> str | None:
            kinds = [said.kind for said in courier.for_lock(lock.lock_id, since)]
            return next((f"{kind} again" for kind in kinds if kind in held), None)

        self._forbid("nothing that the lock already holds", again)
        await self._see(lock, held=held)
        await self._quiet()

    async def _wrong_identity(self) -> None:
        lock, courier = self._lock("identity"), self._courier

        def answered() -> str | None:
            return next((f"a {said.kind}" for said in courier.for_lock(lock.lock_id)), None)

        self._forbid("no statement for a lock that shows another key", answered)
        await self._see(lock, identity=crypto.generate("P-256")[1])
        await self._quiet()

    async def _time(self) -> None:
        lock, courier, nonce = self._lock("papers"), self._courier, crypto.random(16)
        before = time.time()
        await courier.send(uplink.TimeRequest(lock.lock_id, nonce).encode())
        answer = await courier.until(lambda: courier.time_for(nonce), "a signed time with the nonce", lambda: "none")
        if (answer.form.lock_id, answer.lock_id) != (lock.lock_id, lock.lock_id):
            raise BrokenError(f"the time for lock {lock.lock_id.hex()}", f"for {answer.form.lock_id.hex()}")
        if not before - CLOCK_SECONDS <= answer.form.time <= time.time() + CLOCK_SECONDS:
            raise BrokenError(f"{before:.0f} within {CLOCK_SECONDS} s", str(answer.form.time))

    async def _time_of_stranger(self) -> None:
        stranger, nonce = PaperLock.new("stranger"), crypto.random(16)
        came = self._courier.time_for
        self._forbid("no time for an unknown lock", lambda: "a signed time" if came(nonce) else None)
        await self._courier.send(uplink.TimeRequest(stranger.lock_id, nonce).encode())
        await self._quiet()

    # --- receipts ----------------------------------------------------------------------------------------------------

    async def _receipt(self) -> None:
        lock = await self._ready("receipts")
        await self._deliver(*self._append(lock, 3))
        await self._receipt_for(lock)

    async def _batch_again(self) -> None:
        lock = await self._ready("receipts")
        if len(lock.records) < 3:
            await self._deliver(*self._append(lock, 3))
            await self._receipt_for(lock)
        since = self._courier.mark()
        await self._deliver(*lock.records[-3:])
        await self._receipt_for(lock, since)

    async def _twice_in_one(self) -> None:
        lock = await self._ready("receipts")
        [item] = self._append(lock)
        await self._deliver(item, item, item)
        await self._receipt_for(lock)

    async def _gap(self) -> None:
        lock, courier = await self._ready("gap"), self._courier
        first, second, third = self._append(lock, 3)
        since, reached = courier.mark(), len(lock.records) - 2
        await self._deliver(first, third)
        await self._receipt_for(lock, since, reached)
        await self._quiet()
        over = [each.through for each in courier.receipts(lock.lock_id, since) if each.through > reached]
        if over:
            raise BrokenError(f"no receipt beyond {reached}", f"a receipt through {over[0]} over a gap")
        await self._deliver(second)
        await self._receipt_for(lock)

    async def _any_order(self) -> None:
        lock = await self._ready("receipts")
        await self._deliver(*reversed(self._append(lock, 3)))
        await self._receipt_for(lock)

    async def _sealed(self) -> None:
        lock = await self._ready("sealed")
        nobody = crypto.generate("P-256")[1]
        await self._deliver(*lock.append(nobody))
        await self._receipt_for(lock)

    async def _chain(self) -> None:
        lock, courier = await self._ready("chain"), self._courier
        before = self._append(lock, 2)
        side = len(lock.records)
        after = self._append(lock, 2, previous=crypto.random(32))
        since = courier.mark()
        await self._deliver(*before, *after)
        await self._receipt_for(lock, since, side)
        await self._receipt_for(lock, since)

    async def _doubled(self) -> None:
        lock, courier = await self._ready("doubled"), self._courier
        if not lock.records:
            await self._deliver(*self._append(lock))
            await self._receipt_for(lock)
        second = record.parse(lock.double(self._sealing["doubled"]))
        entry = (second.counter, second.payload_hash, EQUIVOCATION)
        items = self._append(lock)
        courier.note_sent(items)
        await courier.batch(second.raw, *items)
        await courier.until(
            lambda: entry in courier.refused(lock.lock_id) or None,
            f"a refusal of record {second.counter} with {EQUIVOCATION}",
            lambda: f"refusals {[each[2] for each in courier.refused(lock.lock_id)]}",
        )
        await self._receipt_for(lock)

    async def _forged(self) -> None:
        lock, courier = await self._ready("forged"), self._courier
        forger = crypto.generate("P-256")[0]
        forged, since = lock.make(self._sealing["forged"], signer=forger), courier.mark()
        await courier.batch(forged)
        await self._quiet()
        if courier.receipts(lock.lock_id, since):
            through = courier.receipts(lock.lock_id, since)[-1].through
            if through > len(lock.records):
                raise BrokenError("no receipt for a forged record", f"a receipt through {through}")
        await self._deliver(*self._append(lock))
        await self._receipt_for(lock, since)

    async def _stranger(self) -> None:
        papers, stranger, courier = await self._ready("papers"), PaperLock.new("stranger"), self._courier
        items = stranger.append(self._sealing[papers.role], 2)

        def answered() -> str | None:
            if courier.refused(stranger.lock_id):
                return "a refusal, which is final, although the lock may be registered later"
            return "a receipt" if courier.receipts(stranger.lock_id) else None

        self._forbid("nothing about records of an unknown lock", answered)
        await courier.batch(*items)
        await self._quiet()

    async def _junk(self) -> None:
        lock = await self._ready("receipts")
        for payload in JUNK:
            await self._courier.send(payload)
        since = self._courier.mark()
        await self._deliver(*self._append(lock))
        await self._receipt_for(lock, since)

    async def _junk_in_batch(self) -> None:
        lock = await self._ready("receipts")
        [item] = self._append(lock)
        self._courier.note_sent([item])
        await self._courier.batch(b"\x00", b"\xff" * 40, item, item[:-1])
        await self._receipt_for(lock)

    async def _latest_receipt(self) -> None:
        lock = await self._ready("receipts")
        if not lock.records:
            await self._deliver(*self._append(lock))
            await self._receipt_for(lock)
        since = self._courier.mark()
        await self._see(lock)
        await self._receipt_for(lock, since)

    async def _grants(self) -> None:
        lock, courier, kit = self._lock("papers"), self._courier, self._kit
        since = courier.mark()

        def carried() -> list[bytes]:
            return [said.signed for said in courier.for_lock(lock.lock_id) if said.kind == "grant"]

        def foreign() -> str | None:
            return "a grant of another platform" if set(carried()) & set(kit.foreign) else None

        self._forbid("only grants of the platform in the placement", foreign)
        await self._see(lock)
        await courier.until(
            lambda: set(kit.genuine) <= set(carried()) or None,
            f"the {len(kit.genuine)} grants of the kit, unchanged",
            lambda: f"{len(set(carried()) & set(kit.genuine))} of them, in {courier.mark() - since} statements",
        )

    async def _full(self) -> None:
        lock = await self._ready("full")
        made = self._append(lock, min(self._records, uplink.MAX_RECORDS))
        while len(uplink.Batch(bytes(8), made[:1]).encode()) * len(made) > uplink.MAX_MESSAGE:
            await self._deliver(*made[:64])
            made = made[64:]
        await self._deliver(*made)
        await self._receipt_for(lock)

    async def _killed(self) -> None:
        if self._restart is None:
            raise UnjudgedError("give the command that kills your province and starts it again with --restart")
        lock, courier = await self._ready("killed"), self._courier
        await self._deliver(*self._append(lock, 3))
        await self._receipt_for(lock)
        await self._restart()
        items, reached = self._append(lock), len(lock.records)

        def find() -> bool | None:
            return any(each.through >= reached for each in courier.receipts(lock.lock_id)) or None

        until = asyncio.get_running_loop().time() + courier.deadline
        while asyncio.get_running_loop().time() < until and find() is None:
            await self._deliver(*items)
            await courier.within(find, min(RETRY_SECONDS, courier.deadline))
        await self._receipt_for(lock)


def _stale(passes: list[EdgePass], newest: int) -> str | None:
    return next((f"passes of {each.issued_at} again" for each in passes if each.issued_at <= newest), None)


def _of_key(passes: list[EdgePass], public: bytes) -> str | None:
    return "a pass for the key that asked second" if any(each.edge_public == public for each in passes) else None
