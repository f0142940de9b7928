"""From a phone at the reader to an opening: ask for documents, verify them, let the door judge what they register."""

import gc

from firmware.door.claims import DocumentClaim
from firmware.door.refusals import meaning
from firmware.hardware import ticks
from firmware.hardware.console import log
from protocol import const
from protocol.errors import MooringError, RefusedError
from protocol.mdoc.verifier import verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from firmware.door.claims import Claim, CommitmentKeys
    from firmware.door.policy import Decision
    from firmware.door.reentry import Reentry
    from firmware.mdoc_reader.asking import Asking
    from firmware.mdoc_reader.reader import Presentation, Reading
    from firmware.mdoc_reader.session_keys import SessionKeys
    from firmware.memory.clock import Clock
    from firmware.memory.identity import Identity
    from firmware.memory.recorder import Recorder
    from firmware.memory.stays import Stays
    from firmware.memory.visits import Visits
    from firmware.nfc import Card
    from firmware.trust.trusted_statements import Standing
    from protocol.crypto import Crypto
    from protocol.mdoc.chain import TrustRoot
    from protocol.profile import Profile

    Decide = Callable[[Sequence[Claim]], Decision]

    class LockMemory(Protocol):
        """What the door needs of the lock."""

        crypto: Crypto
        identity: Identity
        clock: Clock
        standing: Standing
        stays: Stays
        recorder: Recorder
        visits: Visits
        session_keys: SessionKeys
        commitment_keys: CommitmentKeys
        reentry: Reentry


_CONSENTS = const(2)
"""How often in one session a holder may have to agree to show a document."""


async def read_claims(
    lock: "LockMemory", card: "Card", reading: "Reading", asking: "Asking", decide: "Decide"
) -> "Decision":
    """The opening that the holder of the phone behind `card` may have: by its stay key, and then no document is asked
    for, or by the documents that `reading` brings, asked for in the order of `asking`.

    `decide` judges claims, and raises RefusedError. The next request goes out when an answer held no document, or
    verified ones for which the door would tell the guest to ask the host, whatever the reason: nobody learns from a
    further request who is expected here. Raises any MooringError.
    """
    placement, profile = lock.standing.in_force()
    known = await lock.reentry.by_key(card)
    if known:
        return decide(known)
    requests = _items(profile, lock.standing.roots)
    plan = asking.begin(requests)
    if not plan:
        raise RefusedError("door.unplaced", "no issuer is trusted for a document that registers here")
    asked: list[str] = []
    claims: list[Claim] = []
    refusal: MooringError | None = None
    consents = 0
    try:
        for at in range(len(plan)):
            last = at + 1 == len(plan)
            asked = asked + plan[at]
            own, chain = lock.identity.reader_auth_private, placement.reader_chain
            try:
                answer = await reading.ask(profile.request(plan[at]), own, chain, last)
            except MooringError as error:
                raise refusal or error
            try:
                claims += _read(lock, answer, asked)
                return decide(claims)
            except MooringError as error:
                if error.code not in ("mdoc.no_documents", "mdoc.status"):
                    if meaning(error)[0] != "refused_stay":
                        raise
                    refusal = error
                    consents += 1
                if last or consents == _CONSENTS:
                    raise refusal or error
            if not reading.ready:
                raise refusal or RefusedError("session.declined", "the holder ended the session without a document")
            gc.collect()
    except MooringError:
        asking.end(reading, requests)
        raise
    except MemoryError:
        asking.forget()  # the requests from the start are the shortest
        raise
    raise AssertionError


def _items(profile: "Profile", roots: "list[TrustRoot]") -> "list[list[str]]":
    """What the profile asks for, without the types that no trusted issuer may issue."""
    issued = [doc_type for root in roots for doc_type in root.doc_types or []]
    requests = [[doc_type for doc_type in types if doc_type in issued] for types in profile.requests]
    return [types for types in requests if types]


def _read(lock: "LockMemory", answer: "Presentation", asked: "list[str]") -> "list[Claim]":
    """A claim for each document that was presented, all verified; only of types that were `asked` for. Nobody is waited
    for from here to the decision: a courier may have brought other papers while the phone was read."""
    _, profile = lock.standing.in_force()
    earliest, latest = lock.clock.interval()
    began = ticks.now()
    recollection = lock.reentry.issuers.recollect()
    documents = verify(
        lock.crypto,
        answer.device_response,
        answer.session_transcript,
        lock.standing.roots,
        # With the upper end unknown only guests already checked in are let in; for them the floor is the time.
        now=(earliest, earliest if latest is None else latest),
        e_reader_private=answer.e_reader_private,
        doc_types=asked,
        suites=profile.trust.suites,
        revocation=lock.standing.revocation,
        issuers=recollection,
    )
    recalled = recollection.recalled
    log("mdoc.verified", documents=len(documents), ms=ticks.since(ticks.now(), began), recalled=recalled)
    lock.reentry.issuers.keep(recollection)
    claims: list[Claim] = []
    for each in documents:
        fields, barred = profile.fields(each.doc_type, each.elements), lock.standing.bars(each, latest)
        signer = each.country.upper(), profile.is_resident(each.doc_type)
        claims.append(DocumentClaim(lock.crypto, lock.commitment_keys.of, fields, *signer, barred, answer.stay_key))
    return claims
