"""What an edge sends to a province and reads of its answers, without a broker in between."""

from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.placement import Placement
from protocol.receipt import Receipt
from sim.platform import Platform
from sim.province import Province
from tests.protocol.chain import Chain

EDGE = "edge-1"


def place(province: Province, chain: Chain, platform: Platform, listing: str = "HZ-0001") -> Placement:
    """Register the lock of `chain`."""
    signed = province.register_lock(
        chain.public, listing=listing, room="1201", platform_key=platform.public, reader_chain=[b"\x30\x00"]
    )
    return Placement.parse(statement.open(crypto, signed, "placement", province.public))


def deliver(province: Province, *records: bytes) -> uplink.Receipts:
    """What the province answers to one batch; nothing, if it is silent."""
    heard = uplink.Receipts([], [])
    for edge, leaf, payload in province.registry.handle(EDGE, uplink.Batch(bytes(8), list(records)).encode()):
        assert (edge, leaf) == (EDGE, uplink.RECEIPT)
        answer = uplink.parse_receipts(payload)
        assert answer.statements or answer.refusals
        heard = uplink.Receipts(heard.statements + answer.statements, heard.refusals + answer.refusals)
    return heard


def receipts(province: Province, answer: uplink.Receipts) -> list[Receipt]:
    """The receipts in an answer, verified."""
    return [Receipt.parse(statement.open(crypto, data, "receipt", province.public)) for data in answer.statements]


def codes(answer: uplink.Receipts) -> list[tuple[int, str]]:
    """(counter, code) of each refusal in an answer."""
    return [(refusal.counter, refusal.code) for refusal in answer.refusals]


def seen(province: Province, chain: Chain, held: dict[str, int]) -> list[tuple[str, bytes]]:
    """(leaf, payload) of what the province answers when a lock comes in reach."""
    message = uplink.LockSeen(chain.lock_id, chain.public, held).encode()
    return [(leaf, payload) for _, leaf, payload in province.registry.handle(EDGE, message)]


def kinds(answers: list[tuple[str, bytes]]) -> list[str]:
    """Kinds of all the statements in some answers."""
    return [
        statement.kind_of(data)
        for leaf, payload in answers
        for data in (
            uplink.parse_command(payload).statements
            if leaf == uplink.CMD
            else uplink.parse_receipts(payload).statements
        )
    ]
