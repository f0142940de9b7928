"""Time on a lock that is offline: an interval `[earliest, latest]` that certainly contains the true time.

`earliest` starts from a floor that never goes back. The floor is in flash, and every signed time raises it. `latest` is
unknown after a cold start, until the province answers a nonce of this lock. The anchor is the last interval that was
known for certain. From then on, both ends move forward with the crystal. The crystal may drift, so `earliest` moves at
the slowest possible rate, and `latest` at the fastest. The lock has no other source of time. The chip's calendar clock
can be set and can jump.

    state      upper end   new check-ins   becomes the next by
    unknown    none        refused         a signed time that is plausible: known. One that is not: doubted
    known      moves on    allowed         a signed time outside the interval: doubted. A cold start: unknown
    doubted    none        refused         the next answer that is not before the floor: known

An answer that contradicts the interval is not believed at once. Such an answer only removes the interval's upper end.
The next answer, to a new nonce, is believed. So one slip of the province's clock cannot set the lock's clock. Each
contradiction is logged on the console, where a crystal that drifts too much is noticed. No answer lowers the floor.
"""

from firmware.hardware import ticks
from protocol import cbor, const
from protocol.errors import StorageError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.store import Store
    from protocol.crypto import Crypto
    from protocol.signed_time import SignedTime

DRIFT_PPM = 100
"""Largest drift that the lock assumes for the 40 MHz crystal and its conversion to ticks, in parts per million and in
either direction. The datasheets promise 10 to 40 parts per million."""

FIRST_PERSIST_MS = 10 * 1000
PERSIST_MS = 3600 * 1000
"""The floor is first written to flash ten seconds after a boot. The floor is written again whenever the uptime has
doubled, and later every hour. Altogether, the floor is written ten times after a boot, and then 24 times a day. A power
cut sets the floor back by at most an hour, and by at most half of the uptime."""

REFRESH_MS = 6 * 3600 * 1000
"""Time after which the lock asks for the time again. By then, the interval is less than 5 seconds wider, at 100 ppm in
each direction."""

WIDE_MS = 60 * 1000
WIDE_REFRESH_MS = 900 * 1000
"""If an answer took long, the interval is wide. If the interval is wider than WIDE_MS, the lock asks for the time again
after WIDE_REFRESH_MS."""

DOUBT_MS = 600 * 1000
"""After a contradiction, the lock waits for this long before it asks for the time again."""

DARK_MS = 7 * 24 * 3600 * 1000
"""The longest power cut that the lock assumes. While the clock has no upper end, a signed time may be later than the
floor by more than this. Then a second signed time must confirm the first."""

_FILE = const("clock")


class Clock:
    """The interval clock. All times are whole seconds since 1970-01-01 UTC."""

    def __init__(self, crypto: "Crypto", store: "Store", lock_id: bytes) -> None:
        self._crypto = crypto
        self._store = store
        self._lock_id = lock_id
        self.persisted = self._load()
        self._told = self.persisted > 0  # True after the first signed time; before that time, the floor means nothing.
        # The anchor: the last certain interval, and the crystal's milliseconds since then.
        self._floor_ms = self.persisted * 1000
        self._ceiling_ms: int | None = None
        self._run = 0
        self._doubted = False
        self._ticked = ticks.now()
        self._up = 0
        self._since_persist = 0
        self._persist_after = FIRST_PERSIST_MS
        self._until_asking = 0
        self._nonce: bytes | None = None
        self._nonce_age = 0

    def _load(self) -> int:
        raw = self._store.read(_FILE)
        if raw is None:
            return 0
        floor = cbor.decode(raw)
        if not isinstance(floor, int) or floor < 0:
            raise StorageError("clock.corrupt", "the floor in flash is not a time")
        return floor

    def _advance(self) -> None:
        now = ticks.now()
        elapsed = ticks.since(now, self._ticked)
        self._ticked = now
        if elapsed < 0:  # the counter has wrapped unnoticed, so nobody knows how much time has passed
            self._ceiling_ms = None
            elapsed = 0
        self._run += elapsed
        self._up += elapsed
        self._since_persist += elapsed
        self._until_asking -= elapsed
        self._nonce_age += elapsed

    def _bounds(self) -> "tuple[int, int | None]":
        """Return the present interval, in milliseconds."""
        self._advance()
        drift = _drift(self._run)
        floor, ceiling = self._floor_ms, self._ceiling_ms
        if floor:  # before the first signed time, the uptime alone does not give the time
            floor += max(self._run - drift, 0)
        return floor, None if ceiling is None else ceiling + self._run + drift

    def _anchor(self, earliest: int, latest: "int | None") -> None:
        self._floor_ms, self._ceiling_ms, self._run = earliest, latest, 0

    def interval(self) -> "tuple[int, int | None]":
        """Return (earliest, latest). After a cold start, `latest` is None until a signed time has arrived."""
        earliest, latest = self._bounds()
        return earliest // 1000, None if latest is None else -(-latest // 1000)

    # --- the floor in flash ------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Write the floor to flash if it is time to do so. Returns True at the moment when the lock must begin to ask
        for the time. From then on, `nonce` gives a nonce for a courier to carry.

        Call this about once a second, because the floor must be written in time and ticks wrap after some days.
        """
        was_due = self._until_asking <= 0
        self._advance()
        if self._since_persist >= self._persist_after:
            self._persist_after = min(self._up, PERSIST_MS)
            self._persist()
        return self._until_asking <= 0 and not was_due

    def settle(self, until: int) -> None:
        """Write the floor to flash as soon as the floor has passed `until`, the end of a stay. So the stay is still
        over after a power cut. Each `until` costs one write."""
        if self.persisted <= until < self.interval()[0]:
            self._persist()

    def _persist(self) -> None:
        floor = self.interval()[0]
        self._since_persist = 0
        if self._told and floor > self.persisted:
            self._store.write(_FILE, cbor.encode(floor))
            self.persisted = floor

    # --- what the province says --------------------------------------------------------------------------------------

    def nonce(self) -> "bytes | None":
        """Return the 16-byte nonce that the province must answer with a signed time, or None while the clock is fresh
        enough.

        A nonce older than WIDE_REFRESH_MS is replaced by a new nonce. So a courier gains nothing by delivering an old
        nonce late.
        """
        self._advance()
        if self._until_asking > 0:
            return None
        if self._nonce is None or self._nonce_age > WIDE_REFRESH_MS:
            self._nonce = self._crypto.random(16)
            self._nonce_age = 0
        return self._nonce

    def accept(self, signed: "SignedTime") -> None:
        """Take a verified signed time.

        Raises VerificationError: `time.nonce` if the time does not answer this lock's nonce; `time.rollback` if it is
        before the floor; `time.ahead` if it is later than the latest possible time.

        The answer was made after the lock drew the nonce. So the true time is at least the time in the answer, and at
        most the time in the answer plus the age of the nonce. Each nonce is used once, whether the answer is believed
        or not.
        """
        earliest, latest = self._bounds()
        if self._nonce is None or signed.nonce != self._nonce or signed.lock_id != self._lock_id:
            raise VerificationError("time.nonce", "not an answer to this lock's nonce")
        self._nonce = None
        age = self._nonce_age + _drift(self._nonce_age)
        stated = signed.time * 1000
        heard = stated + 1000 + age
        if heard < earliest:
            raise self._contradiction("time.rollback", "the signed time is before the floor")
        if not self._doubted and not self._plausible(stated):
            raise self._contradiction("time.ahead", "the signed time is later than the latest possible time")
        if latest is not None and age > WIDE_MS:
            heard = min(heard, latest)  # an answer that a courier delayed does not widen the interval
        self._doubted, self._told = False, True
        # A very late answer would make the interval so wide that a guest's stay might seem to be over. So a late answer
        # only raises the floor.
        late = latest is None and age > WIDE_REFRESH_MS
        self._anchor(max(earliest, stated), None if late else heard)
        self._until_asking = WIDE_REFRESH_MS if late or heard - self._floor_ms > WIDE_MS else REFRESH_MS
        self._persist()

    def later_than(self, seconds: int) -> None:
        """Raise the floor to `seconds`, the time of signing that is written in a verified statement of the province.

        Such a statement does not answer a nonce and may be old, so it only raises the floor. Nothing else confirms the
        time in the statement. So a time that contradicts the interval is ignored.
        """
        earliest, latest = self._bounds()
        if seconds * 1000 > earliest and self._plausible(seconds * 1000):
            self._anchor(seconds * 1000, latest)

    def _plausible(self, stated: int) -> bool:
        earliest, latest = self._bounds()
        if latest is None and self._told:
            latest = earliest + DARK_MS
        return latest is None or stated <= latest

    def _contradiction(self, code: str, message: str) -> VerificationError:
        earliest, _ = self._bounds()
        self._anchor(earliest, None)
        self._doubted = True
        self._until_asking = DOUBT_MS
        return VerificationError(code, message)


def _drift(ms: int) -> int:
    """Return the largest error of a duration of `ms` milliseconds. The error is the crystal's drift, rounded up, plus
    the length of a tick.
    """
    return ms * DRIFT_PPM // 1000000 + 2
