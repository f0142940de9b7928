"""The door: what happens between a tap and the strike.

    card ─▶ read ─▶ verify ─▶ decide ─▶ record (durable) ─▶ strike
              └────────┴─────────┴──────────┴─▶ stays shut, says why in a colour and a tone

Opening and recording are one act: the strike moves only after the record is in flash. Nothing here waits for a
network. Every way out that is not an opening ends in a MooringError with its code; the door stays shut.
"""

import gc

from firmware import policy, ticks
from firmware.console import log
from firmware.reader import read_mdoc
from protocol import record
from protocol.errors import MooringError, RefusedError, StorageError, TransportError
from protocol.grant import commitment
from protocol.mdoc.verifier import verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.lock import Lock
    from firmware.nfc import Card
    from firmware.policy import Decision
    from firmware.reader import Presentation
    from firmware.signals import Signals
    from firmware.strike import Strike
    from protocol.grant import Grant
    from protocol.mdoc.chain import TrustRoot
    from protocol.mdoc.verifier import VerifiedDocument
    from protocol.profile import Profile


class Door:
    """One door. `on_record` is called after each new record, to wake the link to the edge agent."""

    def __init__(self, lock: "Lock", strike: "Strike", signals: "Signals", on_record: "Callable[[], None]") -> None:
        self._lock = lock
        self._strike = strike
        self._signals = signals
        self._on_record = on_record

    async def tap(self, card: "Card") -> None:
        """Serve one presented phone from first contact to the light it leaves with. Never raises."""
        started = ticks.now()
        log("tap.start")
        recorder = self._lock.recorder
        recorder.busy = True
        self._signals.show("reading")
        try:
            decision = await self._admit(card)
        except MooringError as error:
            self._signals.answer(_signal_for(error))
            recorder.refused(error)
            log("tap.refused", code=error.code, ms=ticks.since(ticks.now(), started))
            return
        except Exception as error:  # noqa: BLE001  the last line of a door that must stay shut and stay alive
            # A defect, or memory exhausted by a hostile phone. Named by type only: its text might hold a guest's data.
            self._signals.answer("fault")
            log("tap.failed", error=type(error).__name__, ms=ticks.since(ticks.now(), started))
            return
        finally:
            recorder.busy = False
            gc.collect()  # the guest's data is dead from here on: do not let it linger on the heap
        self._strike.open()
        self._signals.answer("allowed")
        log("tap.opened", kind=decision.kind, ms=ticks.since(ticks.now(), started))
        self._on_record()

    async def _admit(self, card: "Card") -> "Decision":
        """Read, verify, decide, record: returns only when the opening is allowed and its record durable."""
        profile, roots = self._ready()
        presentation = await self._read(card, profile, roots)
        interval = self._lock.clock.interval()
        mark = ticks.now()
        documents = self._verify(presentation, roots, interval)
        log("mdoc.verified", documents=len(documents), ms=ticks.since(ticks.now(), mark))
        decision, document = self._decide(documents, profile, interval)
        log("door.decided", kind=decision.kind, guest=decision.number)
        self._record(decision, document, profile, interval)
        return decision

    def _ready(self) -> "tuple[Profile, list[TrustRoot]]":
        """The profile and issuers to judge by. Raises RefusedError `door.unplaced` before the lock has its papers."""
        standing = self._lock.standing
        if standing.placement is None or standing.profile is None or standing.trust is None:
            raise RefusedError("door.unplaced", "placement, profile or trust list is missing")
        if standing.profile.id != standing.placement.profile_id:
            raise RefusedError("door.unplaced", "the profile held is not the one the placement names")
        return standing.profile, standing.roots

    async def _read(self, card: "Card", profile: "Profile", roots: "list[TrustRoot]") -> "Presentation":
        lock, placement = self._lock, self._lock.standing.placement
        assert placement is not None
        items = profile.request(_accepted(roots))
        return await read_mdoc(card, lock.crypto, items, lock.identity.reader_private, placement.reader_chain)

    def _verify(
        self,
        presentation: "Presentation",
        roots: "list[TrustRoot]",
        interval: "tuple[int, int | None]",
    ) -> "list[VerifiedDocument]":
        earliest, latest = interval
        # With the upper end unknown only guests already checked in can pass `decide`; for them the floor is the time.
        now = (earliest, earliest if latest is None else latest)
        return verify(
            self._lock.crypto,
            presentation.device_response,
            presentation.session_transcript,
            roots,
            now=now,
            reader_private=presentation.reader_private,
            doc_types=_accepted(roots),
        )

    def _decide(
        self, documents: "list[VerifiedDocument]", profile: "Profile", interval: "tuple[int, int | None]"
    ) -> "tuple[Decision, VerifiedDocument]":
        lock = self._lock
        key = lock.commitment_key()
        refusal = RefusedError("grant.none", "no grant names this guest")
        for document in documents:
            fields = profile.fields(document.doc_type, document.elements)

            def guest_number(grant: "Grant", fields: "dict[str, str]" = fields) -> "int | None":
                mine = commitment(lock.crypto, key, grant.grant_id, fields["id_number"], fields["birth_date"])
                return grant.commitments.index(mine) + 1 if mine in grant.commitments else None

            try:
                decision = policy.decide(lock.standing.placement, lock.stays.all(), interval, guest_number)
                return decision, document
            except RefusedError as error:
                refusal = error
        raise refusal

    def _record(
        self,
        decision: "Decision",
        document: "VerifiedDocument",
        profile: "Profile",
        interval: "tuple[int, int | None]",
    ) -> None:
        """Seal, sign and make durable the record of this opening; the stays follow. Raises StorageError."""
        fields = None
        if decision.kind == record.CHECK_IN:
            fields = profile.fields(document.doc_type, document.elements)
        self._lock.recorder.opening(
            decision.kind, decision.stay.grant.grant_id, decision.number, "mdoc", interval, fields
        )


def _accepted(roots: "list[TrustRoot]") -> "list[str]":
    """Document types that some trusted issuer may issue."""
    return [doc_type for root in roots for doc_type in root.doc_types or []]


def _signal_for(error: MooringError) -> str:
    """A lost connection asks for another try; a flash that fails is a fault; everything else is a refusal."""
    if isinstance(error, TransportError):
        return "again"
    if isinstance(error, StorageError):
        return "fault"
    return "refused"
