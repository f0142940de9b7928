"""Messages from an edge to the province, and the statements in the answers. No broker is used."""

from typing import Any

from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.refusal import Refusal
from sim.platform import Platform
from sim.province import Province
from tests.support.chain import Chain

EDGE = "edge-1"


def place(province: Province, chain: Chain, platform: Platform, listing: str = "HZ-0001") -> Placement:
    """Register the lock of `chain` with the province, and return its placement."""
    signed = province.register_lock(
        chain.public, listing=listing, room="1201", platform_key=platform.public, reader_chain=[b"\x30\x00"]
    )
    return Placement.parse(statement.open(crypto, signed, "placement", province.public))


def deliver(province: Province, *records: bytes) -> list[bytes]:
    """Deliver `records` as one batch. Return the statements in the province's answer, or [] if it does not answer."""
    heard: list[bytes] = []
    for edge, leaf, payload in province.registry.handle(EDGE, uplink.Batch(bytes(8), list(records)).encode()):
        assert (edge, leaf) == (EDGE, uplink.RECEIPT)
        heard += uplink.parse_receipts(payload).statements
    return heard


def receipts(province: Province, answer: list[bytes]) -> list[Receipt]:
    """Verify the receipts in an answer, and return them."""
    return [Receipt.parse(_opened(province, data, "receipt")) for data in _of_kind(answer, "receipt")]


def refusals(province: Province, answer: list[bytes]) -> list[Refusal]:
    """Verify the refusals in an answer, and return them."""
    return [Refusal.parse(_opened(province, data, "refusal")) for data in _of_kind(answer, "refusal")]


def codes(province: Province, answer: list[bytes]) -> list[tuple[int, str]]:
    """Return (counter, code) of each record that the answer refuses."""
    return [(entry[0], entry[2]) for refusal in refusals(province, answer) for entry in refusal.records]


def _of_kind(answer: list[bytes], kind: str) -> list[bytes]:
    return [data for data in answer if statement.parse(data).kind == kind]


def _opened(province: Province, data: bytes, kind: str) -> dict[Any, Any]:
    return statement.open(crypto, data, kind, province.public)


def seen(province: Province, chain: Chain, held: dict[str, int]) -> list[tuple[str, bytes]]:
    """Tell the province that a lock came into reach. For each answer, return the last part of the topic, and the
    payload.
    """
    message = uplink.LockSeen(chain.lock_id, chain.public, held).encode()
    return [(leaf, payload) for _, leaf, payload in province.registry.handle(EDGE, message)]


def kinds(answers: list[tuple[str, bytes]]) -> list[str]:
    """Return the kind of each statement in these answers."""
    return [
        statement.parse(data).kind
        for leaf, payload in answers
        for data in (
            uplink.parse_command(payload).statements
            if leaf == uplink.CMD
            else uplink.parse_receipts(payload).statements
        )
    ]
