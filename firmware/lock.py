"""Everything that the lock keeps. The files and the journal are opened from flash once, at boot. All signed statements
come in through `Lock.deliver`."""

from firmware.door import policy
from firmware.door.claims import CommitmentKeys
from firmware.door.reentry import Reentry
from firmware.hardware.console import log
from firmware.link.admission import Admission
from firmware.mdoc_reader.session_keys import SessionKeys
from firmware.memory.clock import Clock
from firmware.memory.journal import Journal
from firmware.memory.recorder import Recorder
from firmware.memory.stays import Stays
from firmware.memory.tally import Tally
from firmware.memory.visits import Visits
from firmware.trust.edge_passes import EdgePasses
from firmware.trust.trusted_statements import KINDS, TrustedStatements
from protocol import statement
from protocol.errors import FormatError, MooringError, RefusedError
from protocol.grant import Grant
from protocol.link import Hello
from protocol.receipt import Receipt
from protocol.signed_time import SignedTime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.memory.flash import BlockDevice
    from firmware.memory.identity import Identity
    from firmware.memory.store import Store
    from protocol.crypto import Crypto


class Lock:
    """The lock's memory: identity, clock, trusted statements, stays, the journal, and the recorder that writes the
    journal.

    `partition` is the flash of the journal. `on_record` is called when there is something new for the edge. Raises
    StorageError if a file or the journal cannot be read.
    """

    def __init__(
        self,
        crypto: "Crypto",
        store: "Store",
        identity: "Identity",
        partition: "BlockDevice",
        on_record: "Callable[[], None]",
    ) -> None:
        self.crypto = crypto
        self.identity = identity
        self.visits = Visits()
        self.clock = Clock(crypto, store, identity.lock_id)
        self.trusted = TrustedStatements(crypto, store, identity)
        self._learn_time()
        self.stays = Stays(store)
        self.journal = Journal(partition, self.stays)
        self.stays.resume(self.journal.next_counter)
        tally = Tally(partition, self.journal.last_note)
        self.recorder = Recorder(
            *(crypto, identity, self.trusted, self.clock, self.journal, tally, self.stays, self.visits, on_record)
        )
        self.admission = Admission(crypto, identity)
        self.session_keys = SessionKeys(crypto)
        self.edge_passes = EdgePasses(crypto, store, identity, self.clock)
        self.commitment_keys = CommitmentKeys(crypto, identity.private)
        self.reentry = Reentry(crypto, store, self.clock, self.trusted, self.stays, self.commitment_keys)

    def _learn_time(self) -> None:
        """Raise the clock's floor to the time at which the province signed the trust list.

        Raising the floor here costs no write, because the list is in flash anyway and is verified at each boot.
        """
        if self.trusted.trust is not None:
            self.clock.later_than(self.trusted.trust.issued_at)

    def tick(self) -> bool:
        """Call this about once a second. Returns True at the moment when the province should be asked for the time."""
        for stay in self.stays.all():
            self.clock.settle(stay.grant.until)
        self.recorder.live(self.clock.interval()[0])
        self.reentry.refresh()
        return self.clock.tick()

    # --- what the edge link asks for ---------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """Return the facts about the lock that a HELLO contains."""
        return Hello(
            self.identity.lock_id,
            self.journal.next_counter,
            self.journal.through,
            self.trusted.serials(),
            self.clock.nonce(),
            self.identity.public,
        )

    def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
        """Yield (counter, record) for each record without a receipt, beginning with the record number `counter`."""
        return self.journal.records_from(counter)

    def judge(self, edge_pass: bytes, edge_public: bytes) -> "tuple[str, int]":
        """Return the name of an edge and the end of its pass. The edge has already proven that it has the private key
        that belongs to `edge_public`. Raises the errors of `EdgePasses.judge`."""
        form = self.edge_passes.judge(edge_pass, edge_public)
        return form.edge, form.not_after

    def deliver(self, *parts: bytes) -> "tuple[str, str | None]":
        """Take a statement from a courier. The statement may come in parts. Returns (kind, code). The kind is "?" if
        the statement cannot be parsed. The code is the code of the refusal, or None if the statement was taken.

        Nothing here trusts the courier. Every statement is verified with the province's key, or with the key of the
        platform that the placement names.
        """
        kind, code = "?", None
        self.visits.make_room()
        try:
            signed = statement.parse(b"".join(parts))
            kind = signed.kind
            try:
                self._take(signed)
            finally:
                self.reentry.refresh()  # even a refused grant may have removed older stays
        except MooringError as error:
            code = error.code
        except MemoryError:
            # A statement that is too long must not stop the link or the door. The parts of the statement are garbage by
            # now, so there is memory again.
            code = "lock.memory"
        self.visits.keep_room()
        if code is None:
            log("statement.taken", kind=kind)
        else:
            log("statement.refused", kind=kind, code=code)
        return kind, code

    def _take(self, signed: statement.Statement) -> None:
        crypto, anchor, kind = self.crypto, self.identity.anchor, signed.kind
        if kind in KINDS:
            self.trusted.accept(signed, self.clock.interval())
            self._learn_time()
            if kind == "trust-list":
                self.reentry.issuers.forget()
            self.recorder.news()
        elif kind == "time":
            before = self.clock.interval()
            try:
                self.clock.accept(SignedTime.parse(signed.open(crypto, kind, anchor)))
            finally:
                self.recorder.clock_changed(before)
        elif kind == "receipt":
            receipt = Receipt.parse(signed.open(crypto, kind, anchor))
            if receipt.lock_id != self.identity.lock_id:
                raise RefusedError("receipt.lock", "the receipt is for another lock")
            self.journal.receipt(receipt.through, receipt.head)
            self.clock.later_than(receipt.time)
            self.recorder.news()
            log("journal.receipted", through=self.journal.through, free=self.journal.free_sectors())
        elif kind == "grant":
            placement = self.trusted.placement
            if placement is None:
                raise RefusedError("door.unplaced", "no placement names a platform")
            grant = Grant.parse(signed.open(crypto, kind, placement.platform_key))
            policy.check_grant(placement, self.stays.get(grant.grant_id), grant)
            self.stays.accept(grant, placement.platform_key, self.clock.interval()[0])
        else:
            raise FormatError("statement.kind", "not a kind of statement that a lock takes")
