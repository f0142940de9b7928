"""Handles a refusal of the province to commit a record. A table in docs/formats.md says what the agent then does.

The agent checks the record itself. If the province says that a signature is bad, and the agent finds it good, the
record stays in the queue, and `status` shows the dispute. Otherwise the refused record moves from the queue to the
quarantine. A refused record always stays on the disk.
"""

from collections.abc import Iterator

from edge_agent import log
from edge_agent.outbox import Key, Outbox
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.errors import MooringError
from protocol.refusal import EQUIVOCATION, SIGNATURE, Refusal


def obey(outbox: Outbox, refusal: Refusal) -> Iterator[Key]:
    """Apply a refusal to the stored records. The caller has verified the signature of the refusal.

    Yield the key of each record when the record has left the queue. Raises StorageError.
    """
    for counter, payload_hash, code in refusal.records:
        key = (refusal.lock_id, counter)
        queued = outbox.queued(key)
        if queued is None:
            continue
        stored, hash_on_arrival = queued
        # The record was parsed when it arrived, perhaps by an earlier process. The uplink sends the copy on the disk. A
        # bad SD card may have changed this copy since, and then the province refuses the changed payload. So only the
        # copy can tell who is right.
        found = _parsed(stored)
        if payload_hash not in (hash_on_arrival, found and found.payload_hash):
            continue
        facts = {"lock": refusal.lock_id, "counter": counter, "code": code}
        if code == EQUIVOCATION:
            outbox.set_aside(key, code, authentic=True)
            log.event("record.refused", **facts)
            yield key
        elif code == SIGNATURE and not _is_good(found, outbox.identity(refusal.lock_id)):
            outbox.set_aside(key, code, authentic=False)
            log.event("record.damaged", **facts)
            yield key
        elif outbox.dispute(key, code):
            log.event("refusal.disputed", **facts)


def _parsed(stored: bytes) -> record.Record | None:
    try:
        return record.parse(stored)
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
