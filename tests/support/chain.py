"""A chain of records, made as a lock makes it, for tests of the code that reads such chains."""

from typing import Any

from protocol import crypto_cpython as crypto
from protocol import placement, record

RESIDENT = {
    "id_type": "resident-id",
    "name": "王小明",
    "sex": "male",
    "ethnicity": "汉",
    "birth_date": "1990-03-07",
    "address": "浙江省杭州市西湖区文三路138号",
    "id_number": "330106199003070014",
}
"""An invented person. The ID number is invented too, but has a correct check character."""

NOW = 1_795_000_000

OCCUPANCY = [2, 1, 1, NOW + 86400]
"""One stay: booked places, guests who have checked in, openings, and the time at which the stay ends."""


def check_in(**fields: str) -> dict[Any, Any]:
    """Return the body of a resident's check-in. `fields` replace fields of this body. An empty string leaves a field
    out.
    """
    shown = {name: text for name, text in {**RESIDENT, **fields}.items() if text}
    return {1: 1, 2: NOW - 3, 3: NOW, 4: "HZ-0001", 5: bytes(16), 6: 1, 7: "CN", 8: shown, 9: "mdoc", 12: OCCUPANCY}


def entry() -> dict[Any, Any]:
    """Return the body of a later opening. The upper end of the time interval in this body is unknown."""
    return {1: 2, 2: NOW, 3: None, 4: "HZ-0001", 5: bytes(16), 6: 1, 7: "CN", 9: "mdoc", 11: 1, 12: OCCUPANCY}


def event(kind: int, what: str, count: int = 1) -> dict[Any, Any]:
    """Return the body of an event that happened `count` times."""
    return {1: kind, 2: NOW - 3, 3: NOW, 4: "HZ-0001", 7: "CN", 10: what, 11: count}


class Chain:
    """A chain of records. `records` are in the order of their counters.

    The records are sealed to `sealing_public` and signed with the lock's identity key.
    """

    def __init__(self, sealing_public: bytes) -> None:
        self.private, self.public = crypto.generate("P-256")
        self.lock_id = placement.lock_id(crypto, self.public)
        self.sealing_public = sealing_public
        self.records: list[bytes] = []
        self._head = record.GENESIS

    def payload(self, body: dict[Any, Any], counter: int, previous: bytes) -> bytes:
        """Return the sealed payload of a record. The record does not have to fit into the chain."""
        return record.seal(crypto, self.sealing_public, self.lock_id, counter, previous, body)

    def sign(self, payload: bytes) -> bytes:
        """Return a signed record with that payload."""
        return record.sign(crypto, self.private, payload)

    def append(self, body: dict[Any, Any]) -> bytes:
        """Append a record with `body` to the chain, and return the record."""
        payload = self.payload(body, len(self.records) + 1, self._head)
        self._head = record.payload_hash(payload)
        self.records.append(self.sign(payload))
        return self.records[-1]
