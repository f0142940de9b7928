"""From a phone at the reader to claims: read an mdoc, verify it, and take from it what the profile registers."""

from firmware import ticks
from firmware.claims import DocumentClaim
from firmware.console import log
from firmware.reader import read_mdoc
from protocol.mdoc.verifier import verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.lock import Lock
    from firmware.nfc import Card
    from protocol.mdoc.chain import TrustRoot


async def present(lock: "Lock", card: "Card") -> "list[DocumentClaim]":
    """A claim for each document that the phone presents; all verified. Raises any MooringError."""
    placement, profile = lock.papers()
    roots = lock.standing.roots
    doc_types = _accepted(roots)
    items = profile.request(doc_types)
    presentation = await read_mdoc(card, lock.crypto, items, lock.identity.reader_private, placement.reader_chain)
    earliest, latest = lock.clock.interval()
    mark = ticks.now()
    documents = verify(
        lock.crypto,
        presentation.device_response,
        presentation.session_transcript,
        roots,
        # With the upper end unknown only guests already checked in are let in; for them the floor is the time.
        now=(earliest, earliest if latest is None else latest),
        reader_private=presentation.reader_private,
        doc_types=doc_types,
    )
    log("mdoc.verified", documents=len(documents), ms=ticks.since(ticks.now(), mark))
    shown = [profile.fields(each.doc_type, each.elements) for each in documents]
    return [DocumentClaim(lock.crypto, lock.commitment_key, fields) for fields in shown]


def _accepted(roots: "list[TrustRoot]") -> "list[str]":
    """Document types that some trusted issuer may issue."""
    return [doc_type for root in roots for doc_type in root.doc_types or []]
