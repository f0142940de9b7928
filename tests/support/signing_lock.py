"""A lock without door and radio, for tests of the edge. The lock has a key, and makes a chain of records and HELLOs."""

from dataclasses import dataclass, field

from edge_agent.outbox import Key, Outbox
from protocol import crypto_cpython as crypto
from protocol import placement, record, statement
from protocol.grant import Grant
from protocol.link import Hello
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.record import Record
from protocol.refusal import Refusal
from protocol.signed_time import SignedTime

SEALING_PRIVATE, SEALING_PUBLIC = crypto.generate("P-256")
PROVINCE_PRIVATE, PROVINCE_PUBLIC = crypto.generate("P-256")
PLATFORM_PRIVATE, PLATFORM_PUBLIC = crypto.generate("P-256")

BODY = {1: 2, 2: 1_800_000_000, 3: None, 4: "LC-1", 5: None, 6: 1, 7: "CN", 9: "mdoc", 11: 1, 12: None}


@dataclass
class SigningLock:
    """Signs records as a lock does. `records` is its journal."""

    private: bytes = b""
    public: bytes = b""
    records: list[Record] = field(default_factory=list)
    receipted_through: int = 0
    held: dict[str, int] = field(default_factory=dict)
    nonce: bytes | None = None

    def __post_init__(self) -> None:
        self.private, self.public = crypto.generate("P-256")
        self.lock_id = placement.lock_id(crypto, self.public)

    def make(self, previous: bytes | None = None, counter: int | None = None) -> Record:
        """Return a record without appending it to the journal. By default, this is the next record of the chain."""
        last = self.records[-1].payload_hash if self.records else record.GENESIS
        number = counter or len(self.records) + 1
        payload = record.seal(crypto, SEALING_PUBLIC, self.lock_id, number, previous or last, BODY)
        return record.parse(record.sign(crypto, self.private, payload))

    def sign_again(self, item: Record) -> Record:
        """Return a record with the same payload, but a different signature."""
        return record.parse(record.sign(crypto, self.private, item.payload))

    def journal(self, count: int = 1) -> list[Record]:
        """Append `count` records and return them."""
        for _ in range(count):
            self.records.append(self.make())
        return self.records[-count:]

    def hello(self) -> Hello:
        return Hello(
            self.lock_id, len(self.records) + 1, self.receipted_through, dict(self.held), self.nonce, self.public
        )

    def receipt(self, through: int, private: bytes = PROVINCE_PRIVATE, head: bytes | None = None) -> bytes:
        """Return a receipt for this lock's records."""
        body = Receipt(self.lock_id, through, head or self.records[through - 1].payload_hash, 1_800_000_001).body()
        return statement.sign(crypto, private, "receipt", body)

    def refusal(self, code: str, *records: Record, private: bytes = PROVINCE_PRIVATE) -> bytes:
        """Return a statement which says that the province will never commit these records."""
        refused = sorted((item.counter, item.payload_hash, code) for item in records)
        return statement.sign(crypto, private, "refusal", Refusal(self.lock_id, 1_800_000_001, refused).body())

    def placement(self, serial: int = 1, platform: bytes = PLATFORM_PUBLIC, private: bytes = PROVINCE_PRIVATE) -> bytes:
        """Return a placement of the lock. `platform` is the public key of the platform that signs grants."""
        body = Placement(
            *(serial, self.lock_id, "LC-1", "active", platform, SEALING_PUBLIC, "CN", "1", [b"\x30\x00"], "named", 1)
        ).body()
        return statement.sign(crypto, private, "placement", body)

    def time_answer(self, nonce: bytes) -> bytes:
        return statement.sign(crypto, PROVINCE_PRIVATE, "time", SignedTime(nonce, 1_800_000_002, self.lock_id).body())


def grant(number: int, serial: int = 1, until: int = 1_900_000_000, private: bytes = PLATFORM_PRIVATE) -> bytes:
    """Return a version of a grant, signed by the platform that the placement names."""
    body = Grant(number.to_bytes(16, "big"), serial, "LC-1", 1, until, 1, [], False, until, b"").body()
    return statement.sign(crypto, private, "grant", body)


def opened(signed: bytes) -> Receipt:
    return Receipt.parse(statement.open(crypto, signed, "receipt", PROVINCE_PUBLIC))


def applied(outbox: Outbox, receipt: Receipt, signed: bytes) -> list[Key]:
    """Apply one verified receipt. Return the keys of the records that have left. Raises VerificationError if the outbox
    refuses it."""
    gone, refused = outbox.apply_receipts([(receipt, signed)])
    for _, error in refused:
        raise error
    return gone
