"""Judges a booking platform, one clause after the other. The judge has keys of locks, so it reads grants as a lock."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final

from protocol import crypto_cpython as crypto
from protocol import naming, placement, statement
from protocol.crypto import is_point
from protocol.errors import MooringError
from protocol.grant import NO_TIE, Grant, commitment, commitment_key
from protocol.placement import Placement
from protocol.stay_pin import stay_pin
from sim.conformance.clauses import PLATFORM
from sim.conformance.dialogue import Dialogue
from sim.conformance.kit import DAY, PROFILE, PaperLock
from sim.conformance.verdict import BrokenError, UnjudgedError, Verdict, shown

ADULT: Final = {
    "number": "330106199003070014",
    "birth": "1990-03-07",
    "name": "王小明",
    "type": "resident-id",
    "country": "CN",
}
CHILD: Final = {
    "number": "E77 120 455",
    "birth": "2016-05-01",
    "name": "Mia Müller",
    "type": "passport",
    "country": "DE",
}
DATED: Final = {"number": "C01X00T47", "birth": "1988-11-30"}
NAMED: Final = {"number": "L8988901C", "name": "Jürgen O’Brien"}
PHONE: Final = {"phone": "+86 571 5550 1000"}
"""Invented guests, of whom the platform knows more or less."""


class PlatformJudge:
    """Judges the platform behind a dialogue. The judge is a province too: it signs the placements of its locks."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._private, self._public = crypto.generate("P-256")
        self._key = b""
        self._clause = ""
        self._names = 0
        self._run = crypto.random(4).hex()
        self._begin = int(time.time()) + DAY

    async def judge(self, wanted: Collection[str], begins: Callable[[str], None]) -> AsyncIterator[Verdict]:
        """Judge the clauses `wanted`, and yield a verdict on each. `begins(clause)` is called before each."""
        steps = dict(zip(PLATFORM, self._steps(), strict=True))
        for clause in [clause for clause in steps if clause in wanted]:
            begins(clause)
            self._clause = clause
            try:
                await steps[clause]()
            except BrokenError as broken:
                yield Verdict(clause, PLATFORM[clause], "fail", broken.expected, broken.came)
            except UnjudgedError as why:
                yield Verdict(clause, PLATFORM[clause], "unjudged", "", str(why))
            else:
                yield Verdict(clause, PLATFORM[clause], "pass")

    def _steps(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            *(self._public_key, self._statement, self._booked, self._exact, self._weaker, self._unnamed),
            *(self._own_ids, self._nothing_in_clear, self._ties, self._versions, self._other_guests, self._cancelled),
            *(self._pins, self._outside, self._impossible, self._residents, self._after_restart),
        ]

    # --- what the steps share ----------------------------------------------------------------------------------------

    async def _ask(self, ask: str, **members: Any) -> dict[str, Any]:
        return await self._dialogue.ask({"ask": ask, **members})

    async def _platform_key(self) -> bytes:
        answer = await self._ask("key")
        key = _bytes(answer.get("key"))
        if not is_point(crypto, "P-256", key):
            raise BrokenError('{"key": a point of P-256, 65 bytes in hex}', shown(answer))
        return key

    async def _known_key(self) -> bytes:
        if not self._key:
            try:
                self._key = await self._platform_key()
            except BrokenError as broken:
                if self._clause == "B1":
                    raise
                raise UnjudgedError(f"no key came, see B1: {broken.came}") from None
        return self._key

    def _placement(
        self, lock: PaperLock, platform: bytes, status: str = placement.ACTIVE, private: bytes = b""
    ) -> bytes:
        sealing = crypto.public("P-256", self._private)
        form = Placement(
            1, lock.lock_id, lock.listing, status, platform, sealing, PROFILE, "1", [b"\x30\x00"], "named", 1
        )
        return statement.sign(crypto, private or self._private, placement.KIND, form.body())

    async def _place(self, lock: PaperLock, signed: bytes) -> dict[str, Any]:
        told = {"identity": lock.public.hex(), "placement": signed.hex(), "province": self._public.hex()}
        return await self._ask("place", **told)

    async def _placed(self) -> PaperLock:
        lock = PaperLock.new(f"{self._run}-{self._names}")
        answer = await self._place(lock, self._placement(lock, await self._known_key()))
        if answer.get("placed") is not True:
            raise BrokenError('{"placed": true} for a good placement', shown(answer))
        return lock

    async def _book_raw(self, lock: PaperLock, *guests: dict[str, Any], **other: Any) -> tuple[str, dict[str, Any]]:
        self._names += 1
        name = f"{self._run}-{self._names}"
        told: dict[str, Any] = {"listing": lock.listing, "from": self._begin, "until": self._begin + 3 * DAY}
        told |= {"places": max(1, len(guests)), "guests": list(guests)} | other
        return name, await self._ask("book", booking=name, identity=lock.public.hex(), **told)

    async def _book(self, lock: PaperLock, *guests: dict[str, Any], **other: Any) -> tuple[str, Grant]:
        name, answer = await self._book_raw(lock, *guests, **other)
        return name, await self._grant(answer)

    async def _change(self, name: str, **changes: Any) -> Grant:
        return await self._grant(await self._ask("change", booking=name, **changes))

    async def _grant(self, answer: dict[str, Any]) -> Grant:
        """Return the grant in an answer. Only B2 says what is wrong with a grant that is not good."""
        key = await self._known_key()
        try:
            return Grant.parse(statement.open(crypto, _bytes(answer.get("grant")), "grant", key))
        except MooringError as error:
            came = f"{error}; {shown(answer)}"
            if self._clause == "B2":
                raise BrokenError("a grant, signed by the platform's key", came) from None
            raise UnjudgedError(f"no good grant came, see B2: {came}") from None

    async def _key_of(self, lock: PaperLock) -> bytes:
        return commitment_key(crypto, lock.private, await self._known_key())

    async def _expect(self, lock: PaperLock, grant: Grant, *identities: bytes) -> None:
        """Check that the grant names exactly these identities."""
        key = await self._key_of(lock)
        wanted = {commitment(crypto, key, grant.grant_id, identity) for identity in identities}
        if set(grant.commitments) != wanted:
            found = len(set(grant.commitments) & wanted)
            raise BrokenError(
                f"commitments to {len(wanted)} identities",
                f"{len(grant.commitments)} commitments, {found} of them right",
            )

    # --- key and form ------------------------------------------------------------------------------------------------

    async def _public_key(self) -> None:
        key = await self._known_key()
        await self._dialogue.restart()
        again = await self._platform_key()
        if again != key:
            raise BrokenError("the same key after a restart", "another key")

    async def _statement(self) -> None:
        await self._book(await self._placed(), ADULT)

    async def _booked(self) -> None:
        lock = await self._placed()
        _, grant = await self._book(lock, ADULT, places=3)
        told = (grant.listing, grant.valid_from, grant.until, grant.guests, grant.cancelled)
        wanted = (lock.listing, self._begin, self._begin + 3 * DAY, 3, False)
        if told != wanted:
            raise BrokenError(str(wanted), shown(told))
        if grant.horizon != grant.until:
            raise BrokenError("a horizon at the end of the stay", str(grant.horizon))

    # --- guests ------------------------------------------------------------------------------------------------------

    async def _exact(self) -> None:
        lock = await self._placed()
        _, grant = await self._book(lock, ADULT, CHILD)
        await self._expect(lock, grant, identity(ADULT, 1), identity(CHILD, 1))

    async def _weaker(self) -> None:
        lock = await self._placed()
        _, grant = await self._book(lock, DATED, NAMED)
        await self._expect(lock, grant, identity(DATED, 2), identity(NAMED, 3))

    async def _unnamed(self) -> None:
        lock = await self._placed()
        _, grant = await self._book(lock, DATED, PHONE)
        await self._expect(lock, grant, identity(DATED, 2))
        if grant.guests != 2:
            raise BrokenError("two places, one of them unnamed", f"{grant.guests} places")

    async def _own_ids(self) -> None:
        lock = await self._placed()
        grants = [(await self._book(lock, ADULT))[1] for _ in range(2)]
        if grants[0].grant_id == grants[1].grant_id:
            raise BrokenError("two ids for two stays", "one id")
        if set(grants[0].commitments) & set(grants[1].commitments):
            raise BrokenError("other commitments in another stay", "the same commitment in both")

    async def _nothing_in_clear(self) -> None:
        lock = await self._placed()
        _, answer = await self._book_raw(lock, ADULT, CHILD, DATED, NAMED, PHONE)
        await self._grant(answer)
        signed = _bytes(answer.get("grant"))
        guests: tuple[dict[str, str], ...] = (ADULT, CHILD, DATED, NAMED, PHONE)
        for guest in guests:
            for member in ("number", "name", "phone"):
                if member in guest and guest[member].encode() in signed:
                    raise BrokenError("no data of a guest in the grant", f"the {member} of a guest")

    async def _ties(self) -> None:
        lock = await self._placed()
        _, grant = await self._book(lock, PHONE, ADULT, CHILD | {"adult": 2, "relation": "parent"})
        key = await self._key_of(lock)
        adult = commitment(crypto, key, grant.grant_id, identity(ADULT, 1))
        child = commitment(crypto, key, grant.grant_id, identity(CHILD, 1))
        try:
            place, relation = grant.tie(crypto, key, child)
            own = grant.tie(crypto, key, adult)
        except MooringError as error:
            raise BrokenError("ties as in docs/formats.md", str(error)) from None
        if not 0 < place <= len(grant.commitments) or (grant.commitments[place - 1], relation) != (adult, "parent"):
            raise BrokenError("a tie to the adult among the named guests, as parent", f"place {place}, {relation}")
        if own != NO_TIE:
            raise BrokenError("no tie for the adult", f"place {own[0]}, {own[1]}")

    # --- versions ----------------------------------------------------------------------------------------------------

    async def _versions(self) -> None:
        name, first = await self._book(await self._placed(), ADULT)
        longer = await self._change(name, until=first.until + DAY)
        shorter = await self._change(name, until=first.until - DAY)
        for before, after in ((first, longer), (longer, shorter)):
            if after.grant_id != before.grant_id or after.serial <= before.serial:
                raise BrokenError("the same id and a higher serial", f"serial {after.serial} after {before.serial}")
        told = (longer.until - first.until, shorter.until - first.until)
        if told != (DAY, -DAY):
            raise BrokenError("the ends that were asked for", shown(told))
        if longer.horizon != longer.until or shorter.horizon < longer.until:
            raise BrokenError(f"horizon {longer.until} in both versions", f"{longer.horizon}, {shorter.horizon}")

    async def _other_guests(self) -> None:
        lock = await self._placed()
        name, _ = await self._book(lock, ADULT, DATED)
        changed = await self._change(name, guests=[ADULT, CHILD], places=2)
        await self._expect(lock, changed, identity(ADULT, 1), identity(CHILD, 1))

    async def _cancelled(self) -> None:
        name, first = await self._book(await self._placed(), ADULT)
        over = await self._grant(await self._ask("cancel", booking=name))
        if not over.cancelled or over.grant_id != first.grant_id or over.serial <= first.serial:
            raise BrokenError("the same id, a higher serial, cancelled", f"serial {over.serial}, {over.cancelled}")
        _refused(await self._ask("change", booking=name, until=first.until + DAY), "a change after a cancellation")

    async def _after_restart(self) -> None:
        name, first = await self._book(await self._placed(), ADULT)
        longer = await self._change(name, until=first.until + DAY)
        await self._dialogue.restart()
        answer = await self._ask("change", booking=name, until=first.until + 2 * DAY)
        if "refused" in answer:
            raise BrokenError("the booking is still known after a restart", shown(answer))
        last = await self._grant(answer)
        if last.grant_id != first.grant_id or last.serial <= longer.serial:
            raise BrokenError(f"the same id, and a serial above {longer.serial}", f"serial {last.serial}")

    # --- PINs and refusals -------------------------------------------------------------------------------------------

    async def _pins(self) -> None:
        lock = await self._placed()
        name, grant = await self._book(lock, PHONE, ADULT)
        key = await self._key_of(lock)
        wanted = stay_pin(crypto, key, grant.grant_id, commitment(crypto, key, grant.grant_id, identity(ADULT, 1)))
        answer = await self._ask("pin", booking=name, guest=2)
        if answer.get("pin") != wanted:
            raise BrokenError(f'{{"pin": "{wanted}"}}', shown(answer))
        _refused(await self._ask("pin", booking=name, guest=1), "a PIN for a guest whom the grant does not name")

    async def _outside(self) -> None:
        key, stranger = await self._known_key(), crypto.generate("P-256")
        wrong: dict[str, dict[str, Any]] = {
            "a placement that the province did not sign": {"private": stranger[0]},
            "a placement that names another platform": {"platform": stranger[1]},
            "a revoked placement": {"status": placement.REVOKED},
        }
        for what, change in wrong.items():
            lock = PaperLock.new(f"{self._run}-outside")
            named: dict[str, Any] = {"platform": key, **change}
            await self._place(lock, self._placement(lock, **named))
            _refused((await self._book_raw(lock, ADULT))[1], f"a grant under {what}")
        lock = PaperLock.new(f"{self._run}-outside")
        _refused((await self._book_raw(lock, ADULT))[1], "a grant without any placement")
        lock = await self._placed()
        _refused((await self._book_raw(lock, ADULT, listing="ELSEWHERE"))[1], "a grant for another listing")
        other = PaperLock.new(f"{self._run}-other")
        await self._place(other, self._placement(lock, key))
        _refused((await self._book_raw(other, ADULT))[1], "a grant for a lock under another lock's placement")

    async def _impossible(self) -> None:
        lock = await self._placed()
        wrong: dict[str, dict[str, Any]] = {
            "a stay that ends before it begins": {"until": self._begin - 1},
            "a stay without length": {"until": self._begin},
            "33 places": {"places": 33},
            "no place": {"places": 0},
            "more named guests than places": {"places": 1, "guests": [ADULT, DATED]},
            "one guest twice": {"places": 2, "guests": [ADULT, ADULT]},
        }
        for what, change in wrong.items():
            _refused((await self._book_raw(lock, ADULT, **change))[1], f"a grant for {what}")

    async def _residents(self) -> None:
        lock = await self._placed()
        _, answer = await self._book_raw(lock, ADULT | {"type": "passport", "country": "DE"})
        if "refused" in answer:
            return
        grant = await self._grant(answer)
        if grant.commitments:
            raise BrokenError("a refusal, or an unnamed place", f"{len(grant.commitments)} commitments")


def identity(guest: dict[str, str], level: int) -> bytes:
    """Return the identity of a guest at this level, as in docs/formats.md."""
    known = [guest.get(member, "") for member in ("type", "country", "number", "name", "birth")]
    known[3] = naming.fold(known[3])
    resident = known[0] == "resident-id" and known[1] == "CN"
    return naming.identities(known[0], known[1], known[2], known[3], known[4], resident)[level - 1]


def _refused(answer: dict[str, Any], what: str) -> None:
    if not isinstance(answer.get("refused"), str) or "grant" in answer or "pin" in answer:
        raise BrokenError('{"refused": a reason}', f"{what}: {shown(answer)}")


def _bytes(text: object) -> bytes:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
