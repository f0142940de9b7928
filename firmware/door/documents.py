"""Serves a phone at the reader: asks it for documents, verifies them, and lets the door judge the claims.

The table shows what each answer of the phone leads to, in one session of `read_claims`:

    the phone                                       not the last request    the last request
    proves a stay key that opens                    decide, ask nothing     -
    shows documents, and a claim opens              decision                decision
    shows no document of the asked types            next request            refused
    shows documents, refused with "ask the host"    next request (once)     refused
    shows documents, refused for another reason     refused                 refused
    ends the session                                refused                 refused

"Ask the host" is the signal `refused_stay`. If the next answer after such a refusal has no document, or the phone
breaks off, the guest still gets the signal of that refusal.
"""

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
    from firmware.trust.trusted_statements import TrustedStatements
    from protocol.crypto import Crypto
    from protocol.mdoc.chain import TrustRoot
    from protocol.profile import Profile

    Decide = Callable[[Sequence[Claim]], Decision]

    class LockMemory(Protocol):
        """The parts of the lock that the door needs."""

        crypto: Crypto
        identity: Identity
        clock: Clock
        trusted: TrustedStatements
        stays: Stays
        recorder: Recorder
        visits: Visits
        session_keys: SessionKeys
        commitment_keys: CommitmentKeys
        reentry: Reentry


_CONSENTS = const(2)
"""Maximum number of answers with documents in one session. The holder may have to agree on the phone to each of these
answers."""


async def read_claims(
    lock: "LockMemory", card: "Card", reading: "Reading", asking: "Asking", decide: "Decide"
) -> "Decision":
    """Return the opening that the holder of the phone behind `card` may have.

    First the phone is asked for its stay key. If a guest has this key, no document is asked for. Otherwise `reading`
    asks for documents, in the order of `asking`. `decide` judges claims, and raises RefusedError if none of them opens
    the door.

    The next request is sent if an answer contained no document, or if the refusal tells the guest to ask the host. All
    such refusals are treated alike, so a further request does not reveal who is expected here. Raises any MooringError.
    """
    placement, profile = lock.trusted.in_force()
    known = await lock.reentry.by_key(card)
    if known:
        return decide(known)
    requests = _items(profile, lock.trusted.roots)
    plan = asking.begin(requests)
    if not plan:
        raise RefusedError("door.unplaced", "the trust list names no issuer for a document that the profile asks for")
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
    except MooringError:
        asking.end(reading, requests)
        raise
    except MemoryError:
        asking.forget()  # try the first requests again, because they are the shortest
        raise
    raise AssertionError


def _items(profile: "Profile", roots: "list[TrustRoot]") -> "list[list[str]]":
    """Return the requests of the profile, reduced to the document types that a trusted issuer may issue."""
    issued = [doc_type for root in roots for doc_type in root.doc_types or []]
    requests = [[doc_type for doc_type in types if doc_type in issued] for types in profile.requests]
    return [types for types in requests if types]


def _read(lock: "LockMemory", answer: "Presentation", asked: "list[str]") -> "list[Claim]":
    """Return a claim for each presented document. `asked` are the document types that the phone was asked for. Every
    document is verified, and its type is one of these.

    The profile is looked up again, because a courier may have brought a new profile while the phone was read. There is
    no wait between this point and the decision, so the decision uses the same profile.
    """
    _, profile = lock.trusted.in_force()
    earliest, latest = lock.clock.interval()
    began = ticks.now()
    recollection = lock.reentry.issuers.recollect()
    try:
        documents = verify(
            lock.crypto,
            answer.device_response,
            answer.session_transcript,
            lock.trusted.roots,
            # If the clock's upper end is unknown, only guests who have checked in are let in. To verify these guests'
            # documents, the lock takes the clock's floor as the current time.
            now=(earliest, earliest if latest is None else latest),
            e_reader_private=answer.e_reader_private,
            doc_types=asked,
            suites=profile.trust.suites,
            revocation=lock.trusted.revocation,
            issuers=recollection,
        )
    except MooringError:
        recollection.make_up()
        raise
    recalled = recollection.recalled
    log("mdoc.verified", documents=len(documents), ms=ticks.since(ticks.now(), began), recalled=recalled)
    lock.reentry.issuers.keep(recollection)
    claims: list[Claim] = []
    for each in documents:
        fields, barred = profile.fields(each.doc_type, each.elements), lock.trusted.bars(each, latest)
        signer = each.country.upper(), profile.is_resident(each.doc_type)
        claims.append(DocumentClaim(lock.crypto, lock.commitment_keys.of, fields, *signer, barred, answer.stay_key))
    return claims
