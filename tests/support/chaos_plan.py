"""What a story of chaos is made of: its plan, its locks, and what has happened at its end."""

from collections import Counter
from dataclasses import dataclass, field

from edge_agent.lanes import RESEND_LIMIT
from protocol import crypto_cpython as crypto
from protocol import record, statement
from protocol.link import Hello
from protocol.receipt import Receipt
from tests.support.chain import Chain

RECONNECT_SECONDS = 5.0
DOWN_SECONDS = 40.0
"""Longest time that something stays dead."""


@dataclass
class Plan:
    """What is played: locks, records of each, and the seconds in which the records are made and faults happen.

    The edge visits each lock every `visits_every` seconds and waits `timeout` seconds for a receipt. `faults_every` is
    the mean time between two faults, in seconds; 0: no faults. `forgets` is the share of messages that the broker
    acknowledges and loses. `receipts_after` delays each message to the edge, in seconds. `junk` is the share of
    messages beside which a broken copy goes out; if it is not 0, the edge also asks for papers and passes. `outage` is
    a time in which there is no broker.
    """

    locks: int = 6
    records: int = 20
    seconds: float = 1200.0
    visits_every: float = 20.0
    timeout: float = 10.0
    faults_every: float = 40.0
    forgets: float = 0.0
    receipts_after: float = 0.0
    junk: float = 0.0
    outage: tuple[float, float] = (0.0, 0.0)

    @property
    def bound_seconds(self) -> float:
        """Within this time a record is at the province. The time in which broker, province or edge is dead does not
        count.

        The parts: a repetition, a batch that was lost and its repetition, a visit, a new connection, a dead lock.
        """
        return RESEND_LIMIT + 2 * self.timeout + self.visits_every + RECONNECT_SECONDS + DOWN_SECONDS


class Lock(Chain):
    """A lock whose journal is in flash. `receipted` is what the lock believes, `saved` what its flash says.

    Records up to `saved` are erased.
    """

    def __init__(self, sealing_public: bytes) -> None:
        super().__init__(sealing_public)
        self.receipted = self.saved = 0
        self.alive = True
        self.papers: set[bytes] = set()
        """The statements that the edge would hand over, without the receipts."""

    def die(self) -> None:
        """Lose the power. What the flash does not say is forgotten."""
        self.alive, self.receipted = False, self.saved

    def boot(self) -> None:
        self.alive = True

    def hello(self) -> Hello:
        return Hello(self.lock_id, len(self.records) + 1, self.receipted, {}, None, self.public)

    def fetch(self, counter: int) -> bytes:
        assert counter > self.saved, "a record is wanted that the lock has erased"
        return self.records[counter - 1]

    def take(self, signed: bytes, province: bytes) -> None:
        receipt = Receipt.parse(statement.open(crypto, signed, "receipt", province))
        assert receipt.head == record.head(self.records[receipt.through - 1])
        self.receipted = max(self.receipted, receipt.through)


@dataclass
class Outcome:
    """What has happened. `killed` counts the kills of each kind, and `slowest` is the longest delay of a record."""

    records: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    sent: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    story: list[str] = field(default_factory=list)

    def line(self) -> str:
        killed = ", ".join(f"{count} {what}" for what, count in sorted(self.killed.items()))
        return (
            f"{self.records} records in {self.seconds:.0f} s; killed: {killed or 'nothing'}; "
            f"messages lost: {sum(self.lost.values())}; {self.sent} records sent in {self.batches} batches; "
            f"slowest {self.slowest:.0f} s"
        )
