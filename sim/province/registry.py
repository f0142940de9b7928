"""How the province handles a message from an edge. The province commits, answers or refuses, and no message makes the
province fail.

There is no network here: bytes come in, messages go out. When `handle` returns, all changes are on disk.
"""

import logging
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any

from edge_agent.counted import counted
from protocol import crypto_cpython as crypto
from protocol import placement, record, revocation_list, statement, uplink
from protocol.errors import ConfigError, FormatError, MooringError, VerificationError
from protocol.grant import Grant
from protocol.profile import Profile
from protocol.receipt import Receipt
from protocol.refusal import EQUIVOCATION
from protocol.revocation_list import RevocationList
from protocol.signed_time import SignedTime
from protocol.trust import MAX_LISTS, Issuer, ListEntry, TrustList
from sim import profiles
from sim.province import watch
from sim.province.certificates import Certificates
from sim.province.edges import Edges
from sim.province.keys import Keys
from sim.province.placements import Placements
from sim.province.quality import GOOD, verdict
from sim.province.refusals import Refusals
from sim.province.store import CHAIN, Listing, Lock, Store

Message = tuple[str, str, bytes]
"""A message to publish: (edge, leaf of the topic, payload)."""

PROFILES: dict[str, Any] = profiles.load()[0]
"""The good jurisdiction profiles in the repository, as statement bodies, by id."""

_log = logging.getLogger("mooring.province")


class Registry:
    """The rules, on one store. `changed` is notified each time this object has changed the store."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self.store = store
        self.edges = Edges(store, keys, clock)
        self.certificates = Certificates(store, keys, clock)
        self.placements = Placements(store, keys, clock)
        self._refusals = Refusals(store, keys, clock)
        self.changed = threading.Condition()
        self._keys = keys
        self._clock = clock
        self._profiles: dict[str, Profile] = {}
        good, bad = profiles.load()
        for problem in bad:
            _log.error("left out: %s", problem)
        for body in good.values():
            self._take_profile(body)
        with store.transaction():
            for lock in store.locks():  # those that an earlier version has placed
                if lock.status != placement.REVOKED:
                    store.watch(lock.lock_id, self._now())

    def _now(self) -> int:
        return int(self._clock())

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    # --- what the province says of itself ----------------------------------------------------------------------------

    def _take_profile(self, body: dict[str, object]) -> None:
        profile = Profile.parse(body)
        self._profiles[profile.id] = profile
        with self.store.transaction():
            held = self.store.statement("profile", profile.id)
            if held is None or held[0] < profile.serial:
                signed = self._keys.sign("profile", body)
                self.store.put_statement("profile", profile.id, profile.serial, signed)

    def declare(self, listing: Listing) -> list[tuple[bytes, bytes]]:
        """Do the same as `Placements.declare`."""
        signed = self.placements.declare(listing)
        self._notify()
        return signed

    def place(self, lock: Lock, reader_chain: list[bytes]) -> bytes:
        """Do the same as `Placements.place`. Also raises ConfigError `placement.profile` for an unknown profile."""
        if lock.profile not in self._profiles:
            raise ConfigError("placement.profile", f"no profile {lock.profile!r} here; known: {sorted(self._profiles)}")
        signed = self.placements.place(lock, reader_chain)
        with self.store.transaction():
            self.store.watch(lock.lock_id, None if lock.status == placement.REVOKED else self._now())
        self._notify()
        return signed

    def trust(self, issuers: list[Issuer], lists: list[ListEntry]) -> bytes:
        """Replace the trust list. Returns the new statement, with the next serial.

        Raises FormatError `trust-list.form` if a value does not fit into a trust list.
        """
        with self.store.transaction():
            held = self.store.statement("trust-list", "")
            form = TrustList(1 if held is None else held[0] + 1, self._now(), issuers, lists)
            signed = self._keys.sign("trust-list", form.body())
            self.store.put_statement("trust-list", "", form.serial, signed)
        self._notify()
        return signed

    def publish_list(self, number: int, content: bytes) -> bytes:
        """Publish an issuer's CRL or token under its number in the trust list. Returns the next statement.

        Raises FormatError `revocation-list.form` for a list that is longer than a lock can receive.
        """
        with self.store.transaction():
            held = self.store.statement(revocation_list.KIND, str(number))
            form = RevocationList(1 if held is None else held[0] + 1, number, content)
            signed = self._keys.sign(revocation_list.KIND, form.body())
            self.store.put_statement(revocation_list.KIND, str(number), form.serial, signed)
        self._notify()
        return signed

    def queue_grant(self, lock_id: bytes, data: bytes) -> None:
        """Take a grant that the platform of a lock has made for this lock.

        Raises ConfigError `grant.lock` for a lock that is not registered, and FormatError for a malformed grant. Raises
        VerificationError for a grant that was not signed by the platform in the lock's placement.
        """
        lock = self.store.lock(lock_id)
        if lock is None:
            raise ConfigError("grant.lock", "no such lock is registered")
        grant = Grant.parse(statement.open(crypto, data, "grant", lock.platform_key))
        with self.store.transaction():
            self.store.put_grant(lock_id, grant.grant_id, grant.serial, grant.until, data)
        self._notify()

    def lacking(self, lock: Lock, held: dict[str, int]) -> list[bytes]:
        """Return the statements that a lock with the serials `held` still needs, in the order in which the lock uses
        them.
        """
        wanted = [("placement", lock.lock_id.hex()), ("profile", lock.profile), ("trust-list", "")]
        wanted += [(revocation_list.KIND, str(number)) for number in range(1, MAX_LISTS + 1)]
        lacked = []
        for kind, name in wanted:
            current = self.store.statement(kind, name)
            reported = revocation_list.name(int(name)) if kind == revocation_list.KIND else kind
            if current is not None and current[0] > held.get(reported, 0):
                lacked.append(current[1])
        return lacked + self.store.grants(lock.lock_id, self._now())

    # --- what an edge sends ------------------------------------------------------------------------------------------

    def handle(self, edge: str, payload: bytes) -> list[Message]:
        """Execute one message on `up` and return the answers. A bad message is counted.

        There is no answer about a lock that is not registered, because the lock may be registered later, and a refusal
        is final. A revoked edge gets no answer either. Its records are not committed. They are still in their locks,
        and another edge brings them.
        """
        if self.edges.is_revoked(edge):
            _log.warning("edge %s is revoked and sends a message", edge)
            self.tally("messages of revoked edges")
            return []
        try:
            message = uplink.parse_up(payload)
        except FormatError as error:
            _log.warning("edge %s: unreadable message: %s", edge, error.code)
            self.tally("messages unreadable")
            return []
        if isinstance(message, uplink.Batch):
            answers = self._commit(edge, message.records)
        elif isinstance(message, uplink.TimeRequest):
            answers = self._tell_time(edge, message)
        elif isinstance(message, uplink.PassRequest):
            passes = self.edges.answer(edge, message)
            answers = [] if passes is None else [(edge, uplink.PASS, passes)]
        elif isinstance(message, uplink.CertificateRequest):
            certificate = self.certificates.renew(edge, message)
            answers = [] if certificate is None else [(edge, uplink.PASS, certificate)]
        else:
            answers = self._meet(edge, message)
        self._notify()
        return answers

    def tally(self, name: str, by: int = 1) -> None:
        """Add the number `by` to the tally `name`. The command `show` lists all tallies."""
        with self.store.transaction():
            self.store.count_up(name, by)
        self._notify()

    def _tell_time(self, edge: str, request: uplink.TimeRequest) -> list[Message]:
        if self.store.lock(request.lock_id) is None:
            self.tally("time requests of unknown locks")
            return []
        answer = SignedTime(request.nonce, self._now(), request.lock_id).body()
        signed = self._keys.sign("time", answer)
        return [(edge, uplink.CMD, uplink.Command(request.lock_id, [signed]).encode())]

    def _meet(self, edge: str, seen: uplink.LockSeen) -> list[Message]:
        lock = self.store.lock(seen.lock_id)
        if lock is None or lock.identity != seen.identity_public:
            _log.warning("edge %s: sees lock %s, which is not registered", edge, seen.lock_id.hex()[:8])
            self.tally("sightings of unknown locks")
            return []
        with self.store.transaction():
            self.store.heard(lock.lock_id, edge, self._now())
        answers = commands(edge, lock.lock_id, self.lacking(lock, seen.held))
        receipt = self.store.receipt(lock.lock_id)
        if receipt is not None:
            answers.append((edge, uplink.RECEIPT, uplink.Receipts([receipt[1]]).encode()))
        return answers

    def _commit(self, edge: str, records: list[bytes]) -> list[Message]:
        delivered: dict[bytes, set[int]] = {}
        refused: list[tuple[record.Record, str]] = []
        counts: Counter[str] = Counter()
        unknown: Counter[bytes] = Counter()
        worked: Counter[bytes] = Counter()
        locks: dict[bytes, Lock | None] = {}
        with self.store.transaction():
            for data in records:
                try:
                    item = record.parse(data)
                except MooringError:
                    counts["records unreadable"] += 1
                    continue
                if item.lock_id not in locks:
                    locks[item.lock_id] = self.store.lock(item.lock_id)
                lock = locks[item.lock_id]
                if lock is None:
                    # The lock may be registered soon. Without an answer, the edge keeps the record and sends it again.
                    unknown[item.lock_id] += 1
                    continue
                try:
                    counts.update(self._commit_one(edge, lock, item, worked))
                    delivered.setdefault(item.lock_id, set()).add(item.counter)
                except MooringError as error:
                    counts["records refused"] += 1
                    self.store.quarantine(item, error.code, self._now())
                    refused.append((item, error.code))
            for lock_id, number in unknown.items():
                _log.warning(
                    "edge %s: %s of lock %s, not registered", edge, counted(number, "record"), lock_id.hex()[:8]
                )
                counts["records of unknown locks"] += number
            # The log gets one line for each lock and reason, so that a flood of bad records does not fill it.
            for (lock_id, code), number in Counter((item.lock_id, code) for item, code in refused).items():
                _log.warning("edge %s: %d records of lock %s refused: %s", edge, number, lock_id.hex()[:8], code)
            for name, count in counts.items():
                self.store.count_up(name, count)
            # Refusals go first, because a receipt may cover the counter of a refused record.
            answers = self._refusals.answer(refused)
            for lock_id in sorted(delivered):
                self.store.heard(lock_id, edge, worked[lock_id])
                answers += self._receipts(lock_id, delivered[lock_id])
        return [(edge, uplink.RECEIPT, uplink.Receipts(part).encode()) for part in uplink.in_messages(answers)]

    def _commit_one(self, edge: str, lock: Lock, item: record.Record, worked: Counter[bytes]) -> list[str]:
        """Commit an authentic record if it is the first record with its counter. Returns the names of the tallies that
        count this record. `worked` gets the latest time at which the lock made such a record.

        Raises VerificationError for a record that the lock did not sign, and for a second record with the same counter.
        """
        around = self.store.around(item.lock_id, item.counter)
        committed = around.get(item.counter)
        if committed is not None and committed[0] == item.payload_hash:
            return ["records delivered again"]
        record.verify(crypto, item, lock.identity)
        if committed is not None:
            raise VerificationError(EQUIVOCATION, "the lock signed two records with one counter")
        before, after = around.get(item.counter - 1), around.get(item.counter + 1)
        fits = before is None or before[0] == item.previous
        body, judged = self._judge(lock, item, fits and (after is None or after[1] == item.payload_hash))
        now = self._now()
        self.store.put_record(item, body, judged, now)
        if body is not None and judged not in (CHAIN, watch.REVOKED):
            worked[item.lock_id] = max(worked[item.lock_id], min(body[record.EARLIEST], now))
            if body[record.KIND] == record.LIFE:
                self.store.put_sign(item, body, edge, now)
        if body is not None and judged != CHAIN:
            return ["records committed"]
        _log.warning("edge %s: %s is committed as evidence only: %s", edge, _name(item), judged)
        return ["records committed", "records unusable"]

    def _judge(self, lock: Lock, item: record.Record, fits: bool) -> tuple[dict[Any, Any] | None, str]:
        """Return (body, verdict) of an authentic record, which `fits` into the lock's chain or not. The body is None if
        the record cannot be opened.

        An authentic record is never refused. Receipts are cumulative, so a missing record would hold back the receipts
        of all later records, until the lock's journal is full.
        """
        try:
            body = record.open_body(crypto, item, self._keys.sealing_private)
        except MooringError as error:
            return None, error.code if fits else CHAIN
        if not fits:
            return body, CHAIN
        if body[record.KIND] == record.LIFE and lock.status == placement.REVOKED:
            return body, watch.REVOKED
        judged = verdict(self._profiles.get(lock.profile), body)
        if body[record.LISTING_CODE] != lock.listing and judged == GOOD:
            judged = "registration.listing"
        return body, judged

    def _receipts(self, lock_id: bytes, counters: set[int]) -> list[bytes]:
        """Return one receipt for each break of the lock's chain that lies among `counters`. The last item is the lock's
        latest receipt.

        An edge may have records from before and after a break. The head after the break does not prove that the
        records before the break were committed. With this head alone, the edge would keep those records for ever. So
        each side of the break gets a receipt with its own head.
        """
        reached = self.store.advance(lock_id)
        if reached is None:
            return []
        ends = self.store.chain_ends(lock_id, min(counters), reached)
        following = (bisect_left(ends, counter) for counter in counters)
        wanted = {ends[at] for at in following if at < len(ends)} | {reached}
        return [self._receipt(lock_id, through) for through in sorted(wanted)]

    def _receipt(self, lock_id: bytes, through: int) -> bytes:
        """Return the receipt that covers all counters up to the number `through`. The receipt is signed at the first
        call and then kept.
        """
        held = self.store.receipt(lock_id, through)
        if held is not None:
            return held[1]
        head = self.store.hash_of(lock_id, through)
        if head is None:
            raise ValueError("there is no committed record with the counter of this receipt")
        now = self._now()
        body = Receipt(lock_id, through, head, now).body()
        signed = self._keys.sign("receipt", body)
        self.store.put_receipt(lock_id, through, head, now, signed)
        return signed


def _name(item: record.Record) -> str:
    return f"lock {item.lock_id.hex()[:8]} record {item.counter}"


def commands(edge: str, lock_id: bytes, statements: list[bytes]) -> list[Message]:
    """Pack these statements for a lock into as few messages as possible. Without statements there is no message."""
    return [(edge, uplink.CMD, uplink.Command(lock_id, part).encode()) for part in uplink.in_messages(statements)]
