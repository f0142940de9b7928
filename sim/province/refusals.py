"""Refusals: signed statements in which the province says that it will never commit certain records.

Anyone who reaches the broker can send records that no lock signed. So signing is limited. One signature covers up to 64
records. A signed statement is kept, and sent again when it is needed. The number of new signatures in a minute is
limited for each lock and reason, and also for all locks together. A record over the limit gets no answer, so its edge
keeps the record and sends it again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from protocol.record import Record
from protocol.refusal import EQUIVOCATION, KIND, MAX_ENTRIES, Refusal
from sim.province.keys import Keys
from sim.province.store import Store

EVERY_SECONDS = 60
"""Seconds in which at most one new statement is signed for one lock and reason."""
OF_LOCKS = 100
"""Within EVERY_SECONDS, at most this many new statements are about records that a lock signed. All locks count
together.
"""
OF_STRANGERS = 10
"""Within EVERY_SECONDS, at most this many new statements are about records that anybody could have made. All locks
count together.

Such statements only help an edge whose disk has damaged a record.
"""
ANSWERED = 8
"""Maximum number of statements in answer to one batch, so that an answer is not much larger than the batch."""
KEPT_OF_ONE = 4
"""Maximum number of statements kept for one lock and reason. An older statement is signed again when it is needed."""
KEPT_OF_STRANGERS = 64
"""Of the statements about records that anybody could have made, at most this many are kept. All locks count together.
"""


class Refusals:
    """Makes refusals, with the province's store and keys. `clock` gives epoch seconds."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def answer(self, refused: Iterable[tuple[Record, str]]) -> list[bytes]:
        """Return statements that refuse these records. Each record is given with the code of its reason.

        A record over the limit is in no statement. Call this inside a transaction of the store.
        """
        groups: dict[tuple[str, bytes], set[tuple[int, bytes]]] = defaultdict(set)
        for item, code in refused:
            groups[code, item.lock_id].add((item.counter, item.payload_hash))
        statements: list[bytes] = []
        for code, lock_id in sorted(groups, key=lambda group: (group[0] != EQUIVOCATION, group)):
            new = []
            for counter, payload_hash in sorted(groups[code, lock_id]):
                signed = self._store.refusal(lock_id, counter, payload_hash)
                if signed is None:
                    new.append((counter, payload_hash, code))
                elif signed not in statements:
                    statements.append(signed)
            if new and self._may_sign(code, lock_id):
                statements.append(self._sign(code, lock_id, new[:MAX_ENTRIES]))
                new = new[MAX_ENTRIES:]
            self._store.count_up("refusals put off", len(new))
        return statements[:ANSWERED]

    def _may_sign(self, code: str, lock_id: bytes) -> bool:
        now = int(self._clock())
        of_one, together = self._store.refusals_about(now, EVERY_SECONDS, code, lock_id)
        return of_one == 0 and together < (OF_LOCKS if code == EQUIVOCATION else OF_STRANGERS)

    def _sign(self, code: str, lock_id: bytes, records: list[tuple[int, bytes, str]]) -> bytes:
        now = int(self._clock())
        signed = self._keys.sign(KIND, Refusal(lock_id, now, records).body())
        self._store.put_refusal(code, lock_id, now, signed, [record[:2] for record in records])
        self._store.drop_refusals(code, lock_id, KEPT_OF_ONE)
        if code != EQUIVOCATION:
            self._store.drop_refusals(code, None, KEPT_OF_STRANGERS)
        return signed
