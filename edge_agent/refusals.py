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
        if held is None:
            continue
        found = _parsed(held[0])
        # Where the disk has changed the payload, another one was sent than the one that came here.
        if payload_hash not in (held[1], found and found.payload_hash):
            continue
        facts = {"lock": refusal.lock_id, "counter": counter, "code": code}
        if code == EQUIVOCATION:
            outbox.set_aside(key, code, authentic=True)
            log.event("record.refused", **facts)
            moved.append(key)
        elif code == SIGNATURE and not _is_good(found, outbox.identity(refusal.lock_id)):
            outbox.set_aside(key, code, authentic=False)
            log.event("record.damaged", **facts)
            moved.append(key)
        elif outbox.dispute(key, code):
            log.event("refusal.disputed", **facts)
    return moved


def _parsed(held: bytes) -> record.Record | None:
    try:
        return record.parse(held)
    except MooringError:
        return None


def _is_good(found: record.Record | None, identity_public: bytes) -> bool:
    if found is None:
        return False
    try:
        record.verify(crypto, found, identity_public)
    except MooringError:
        return False
    return True
