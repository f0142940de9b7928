"""What the edge does when the province says that it will never commit a record: a table in docs/formats.md.

The province's signature alone moves nothing. A record that the edge itself finds good stays where it is, whatever is
said of its signature, and the fault is shown; a record leaves the queue for the quarantine, never the disk.
"""

from edge_agent import log
from edge_agent.outbox import Key, Outbox
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.errors import MooringError
from protocol.refusal import EQUIVOCATION, SIGNATURE, Refusal


def obey(outbox: Outbox, refusal: Refusal) -> list[Key]:
    """Do what `refusal`, whose signature the caller has verified, asks of the records held here.

    Returns the keys of those that have left the queue. Raises StorageError.
    """
    moved = []
    for counter, payload_hash, code in refusal.records:
        key = (refusal.lock_id, counter)
        held = outbox.queued(key)
        # A disk that has changed the payload has us send another one than came here.
        if held is None or payload_hash not in (held[1], _payload_hash(held[0])):
            continue
        facts = {"lock": refusal.lock_id, "counter": counter, "code": code}
        if code == EQUIVOCATION:
            outbox.set_aside(key, code, authentic=True)
            log.event("record.refused", **facts)
            moved.append(key)
        elif code == SIGNATURE and not _is_good(held[0], outbox.identity(refusal.lock_id)):
            outbox.set_aside(key, code, authentic=False)
            log.event("record.damaged", **facts)
            moved.append(key)
        elif outbox.dispute(key, code):
            log.event("refusal.disputed", **facts)
    return moved


def _is_good(held: bytes, identity_public: bytes) -> bool:
    try:
        record.verify(crypto, held, identity_public)
    except MooringError:
        return False
    return True


def _payload_hash(held: bytes) -> bytes | None:
    try:
        return record.parse(held).payload_hash
    except MooringError:
        return None
