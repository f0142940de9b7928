"""From a phone at the reader to claims: read an mdoc, verify it, and take from it what the profile registers."""

from firmware import ticks
from firmware.claims import DocumentClaim, Traces
from firmware.console import log
from firmware.reader import read_mdoc
from protocol.mdoc.verifier import verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware.claims import Claim
    from firmware.lock import Lock
    from firmware.mdoc_ble import MdocBle
    from firmware.nfc import Card
    from firmware.reader import Mark
    from protocol.mdoc.chain import TrustRoot


async def present(lock: "Lock", card: "Card", mark: "Mark", mdoc_ble: "MdocBle | None") -> "Sequence[Claim]":
    """A claim for each document that the phone presents, all verified; or one for its stay key, and then no document
    is asked for. `mark` and `mdoc_ble` as in `read_mdoc`. Raises any MooringError.
    """
    placement, profile = lock.papers()
    known = await lock.reentry.by_key(card)
    if known:
        return known
    # What is taken is what was asked for, whatever papers come meanwhile: nothing else has a place in the answer.
    items = profile.request(_accepted(lock.standing.roots))
    own, chain = lock.identity.reader_private, placement.reader_chain
    presentation = await read_mdoc(card, lock.crypto, items, own, chain, lock.session_keys.take, mark, mdoc_ble)
    # A courier may have brought other papers while the phone was read: from here to the claims nobody is waited for.
    _, profile = lock.papers()
    roots = lock.standing.roots
    earliest, latest = lock.clock.interval()
    began = ticks.now()
    recollection = lock.reentry.issuers.recollect()
    documents = verify(
        lock.crypto,
        presentation.device_response,
        presentation.session_transcript,
        roots,
        # With the upper end unknown only guests already checked in are let in; for them the floor is the time.
        now=(earliest, earliest if latest is None else latest),
        reader_private=presentation.reader_private,
        doc_types=list(items),
        suites=profile.trust.suites,
        revocation=lock.standing.revocation,
        issuers=recollection,
    )
    recalled = recollection.recalled
    log("mdoc.verified", documents=len(documents), ms=ticks.since(ticks.now(), began), recalled=recalled)
    traces = Traces(presentation.stay_key, recollection)
    claims = []
    for each in documents:
        fields, barred = profile.fields(each.doc_type, each.elements), lock.standing.bars(each, latest)
        claims.append(DocumentClaim(lock.crypto, lock.commitment_key, fields, barred, traces))
    return claims


def _accepted(roots: "list[TrustRoot]") -> "list[str]":
    """Document types that some trusted issuer may issue."""
    return [doc_type for root in roots for doc_type in root.doc_types or []]
