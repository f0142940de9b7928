"""The judge's edge: it sends messages on `up`, keeps whatever comes, and judges each message when it comes.

Some clauses hold for every message (P24 to P28). The courier notes the first flaw of each, whatever is being judged at
that time.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from protocol import crypto_cpython as crypto
from protocol import edge_pass, record, statement, uplink
from protocol.edge_pass import EdgePass
from protocol.errors import FormatError, MooringError, VerificationError
from protocol.grant import Grant
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.receipt import Receipt
from protocol.refusal import Refusal
from protocol.revocation_list import RevocationList
from protocol.signed_time import SignedTime
from protocol.statement import Statement
from protocol.trust import TrustList
from sim.conformance.verdict import BrokenError, shown

FORM, SIGNATURE, DELIVERY, REACH, ORDER = "P24", "P25", "P26", "P27", "P28"

_PARSERS: Final[dict[str, Callable[[dict[Any, Any]], Any]]] = {
    "placement": Placement.parse,
    "trust-list": TrustList.parse,
    "profile": Profile.parse,
    "time": SignedTime.parse,
    "receipt": Receipt.parse,
    "refusal": Refusal.parse,
    "grant": Grant.parse,
    "edge-pass": EdgePass.parse,
    "revocation-list": RevocationList.parse,
}
_OF_LEAF: Final = {
    uplink.RECEIPT: ("receipt", "refusal"),
    uplink.PASS: ("edge-pass",),
    uplink.CMD: ("placement", "trust-list", "profile", "time", "grant", "revocation-list"),
}

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Arrival:
    """A message that came from the broker. `leaf` is the last part of its topic."""

    leaf: str
    payload: bytes
    qos: int = 1
    retained: bool = False


class Wire(Protocol):
    """A connection to the broker under the name of the edge."""

    arrived: "asyncio.Queue[Arrival]"

    async def send(self, payload: bytes) -> None:
        """Publish a message on `up`. Return when the broker has taken it. Raises UnjudgedError if it does not."""


@dataclass(frozen=True)
class Said:
    """A statement that came and that is good. `lock_id` is the lock of its message, if the message names one."""

    kind: str
    form: Any
    signed: bytes
    lock_id: bytes = b""


class Courier:
    """The edge on one wire. `said` has every good statement, oldest first. `flaws` has the first flaw of each clause:
    (expected, came).

    `deadline` is how many seconds the province may take for an answer.
    """

    def __init__(self, wire: Wire, province_public: bytes, platform_public: bytes, deadline: float) -> None:
        self.said: list[Said] = []
        self.flaws: dict[str, tuple[str, str]] = {}
        self.deadline = deadline
        self.messages = 0
        self._wire = wire
        self._keys = {"grant": platform_public}
        self._province = province_public
        self._sent: dict[bytes, dict[int, bytes]] = defaultdict(dict)

    # --- up ----------------------------------------------------------------------------------------------------------

    def note_sent(self, records: Iterable[bytes]) -> None:
        """Note records that the locks have signed and that go out, so that receipts can be compared with them."""
        for data in records:
            item = record.parse(data)
            self._sent[item.lock_id][item.counter] = item.payload_hash

    async def send(self, payload: bytes) -> None:
        """Send one message."""
        await self._wire.send(payload)

    async def batch(self, *records: bytes) -> None:
        """Send records in one batch."""
        await self.send(uplink.Batch(crypto.random(8), list(records)).encode())

    # --- down --------------------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """Take everything that has come, and return the place in `said` of whatever comes next."""
        while not self._wire.arrived.empty():
            self.take(self._wire.arrived.get_nowait())
        return len(self.said)

    def take(self, arrival: Arrival) -> None:
        """Judge one message and keep its good statements."""
        self.messages += 1
        if arrival.qos != 1 or arrival.retained:
            how = f"QoS {arrival.qos}{', retained' if arrival.retained else ''}"
            self._flaw(DELIVERY, "QoS 1 and not retained", f"a message on `{arrival.leaf}` with {how}")
        try:
            lock_id, statements = _statements(arrival)
        except FormatError as error:
            self._flaw(FORM, f"a message on `{arrival.leaf}` as in protocol/uplink.cddl", str(error))
            return
        good = [said for said in (self._open(arrival.leaf, data, lock_id) for data in statements) if said is not None]
        self.said += good
        if arrival.leaf == uplink.RECEIPT:
            self._judge_receipts(good)

    def _open(self, leaf: str, data: bytes, lock_id: bytes) -> Said | None:
        """Return a statement if it is good. Note its flaw if it is not."""
        try:
            signed = statement.parse(data)
            if signed.kind not in _OF_LEAF[leaf]:
                self._flaw(FORM, f"on `{leaf}` only {', '.join(_OF_LEAF[leaf])}", f"a statement {signed.kind}")
                return None
            return self._verified(signed, lock_id)
        except (FormatError, VerificationError) as error:
            self._flaw(FORM, f"statements on `{leaf}` as in protocol/statement.cddl", str(error))
            return None

    def _verified(self, signed: Statement, lock_id: bytes) -> Said | None:
        public = self._keys.get(signed.kind, self._province)
        try:
            signed.verify(crypto, public)
        except MooringError:
            if signed.kind != "grant":  # P21 says what is wrong with such a grant
                self._flaw(SIGNATURE, "the signature of the key in --key", f"a statement {signed.kind} of another key")
                return None
        return Said(signed.kind, _PARSERS[signed.kind](signed.read(signed.kind)), signed.data, lock_id)

    def _judge_receipts(self, good: list[Said]) -> None:
        reached: dict[bytes, int] = {}
        for said in good:
            if said.kind == "refusal":
                if reached:
                    self._flaw(ORDER, "refusals first", "a refusal after a receipt in one message")
                continue
            receipt: Receipt = said.form
            if receipt.through <= reached.get(receipt.lock_id, 0):
                self._flaw(ORDER, "rising receipts", f"{receipt.through} after {reached[receipt.lock_id]}")
            reached[receipt.lock_id] = receipt.through
            sent = self._sent.get(receipt.lock_id, {})
            lacks = [counter for counter in range(1, min(receipt.through, 1 << 16) + 1) if counter not in sent]
            if lacks:
                self._flaw(REACH, "receipts for what was sent", f"through {receipt.through} without record {lacks[0]}")
            elif sent[receipt.through] != receipt.head:
                self._flaw(REACH, "the payload hash of the last record", f"another head for {receipt.through}")

    def _flaw(self, clause: str, expected: str, came: str) -> None:
        self.flaws.setdefault(clause, (expected, shown(came)))

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, find: Callable[[], _Found | None], expected: str, came: Callable[[], str]) -> _Found:
        """Wait until `find()` returns something, and return it. Raises BrokenError after the deadline."""
        found = await self.within(find, self.deadline)
        if found is None:
            raise BrokenError(expected, f"{came()} within {self.deadline:g} s")
        return found

    async def within(self, find: Callable[[], _Found | None], seconds: float) -> _Found | None:
        """Wait at most this long until `find()` returns something. Return it, or None."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (found := find()) is None:
                    self.take(await self._wire.arrived.get())
                return found
        # What came in time counts, even if this machine was too busy to look.
        self.mark()
        return find()

    async def settled(self, lock_id: bytes) -> None:
        """Wait until the province has handled everything before: ask it for the time of a lock that it knows."""
        nonce = crypto.random(16)
        await self.send(uplink.TimeRequest(lock_id, nonce).encode())
        await self.within(lambda: self.time_for(nonce), self.deadline)

    def time_for(self, nonce: bytes) -> Said | None:
        """Return the answer to a nonce, if it has come."""
        return next((said for said in self.said if said.kind == "time" and said.form.nonce == nonce), None)

    def receipts(self, lock_id: bytes, since: int = 0) -> list[Receipt]:
        """Return the receipts for a lock among `said[since:]`."""
        return [said.form for said in self.said[since:] if said.kind == "receipt" and said.form.lock_id == lock_id]

    def refused(self, lock_id: bytes) -> list[tuple[int, bytes, str]]:
        """Return everything that was refused of a lock: counter, payload hash and code."""
        refusals = [said.form for said in self.said if said.kind == "refusal" and said.form.lock_id == lock_id]
        return [entry for refusal in refusals for entry in refusal.records]

    def for_lock(self, lock_id: bytes, since: int = 0) -> list[Said]:
        """Return the statements of commands for a lock among `said[since:]`."""
        return [said for said in self.said[since:] if said.lock_id == lock_id]

    def passes(self, since: int = 0) -> list[EdgePass]:
        """Return the passes among `said[since:]`."""
        return [said.form for said in self.said[since:] if said.kind == edge_pass.KIND]


def _statements(arrival: Arrival) -> tuple[bytes, list[bytes]]:
    """Return the lock that a message names, if it names one, and the statements in it. Raises FormatError."""
    if arrival.leaf == uplink.CMD:
        command = uplink.parse_command(arrival.payload)
        return command.lock_id, command.statements
    if arrival.leaf == uplink.RECEIPT:
        return b"", uplink.parse_receipts(arrival.payload).statements
    message = uplink.parse_pass(arrival.payload)
    # A certificate for the broker is the affair of the province and its broker.
    return b"", message.statements if isinstance(message, uplink.Passes) else []
