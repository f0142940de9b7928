"""Time on a lock that is offline: an interval `[earliest, latest]` that is sure to hold the true time.

`earliest` stands on a floor that never goes back: persisted, raised by every signed time. `latest` is unknown after a
cold start, until the province answers a nonce of ours. From the last thing known for certain, the anchor, both move
with the crystal's worst drift. There is no other source of time here: the chip's calendar can be set, and leaps.

What contradicts the interval is not believed at once. It costs the upper end, so that new check-ins wait, and the
next answer to a new nonce is then taken as it comes: one slip of the province's clock moves nothing, and a crystal
out of its limits shows. The floor stays, whoever asks for less.
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
"""Worst drift assumed of the 40 MHz crystal and its tick conversion, either way; the datasheets promise 10 to 40."""

FIRST_PERSIST_MS = 10 * 1000
PERSIST_MS = 3600 * 1000
"""The floor is written ten seconds after a boot, then whenever the lock has been up for twice as long, in the end
hourly: ten small writes for a boot and 24 a day. A power cut costs an hour of floor at most, and at most half of what
ran."""

REFRESH_MS = 6 * 3600 * 1000
"""After this the lock asks for the time again: at 100 ppm each way the interval is then 5 seconds wider."""

WIDE_MS = 60 * 1000
WIDE_REFRESH_MS = 900 * 1000
"""An interval wider than the first, because an answer took long to come, is asked about again after the second."""

DOUBT_MS = 600 * 1000
"""After a contradiction the next answer is asked for no sooner."""

DARK_MS = 7 * 24 * 3600 * 1000
"""A lock without an upper end believes at once that it was without power for so long; more has to be said twice."""

_FILE = const("clock")


class Clock:
    """The interval clock. All times are whole seconds since 1970-01-01 UTC."""

    def __init__(self, crypto: "Crypto", store: "Store", lock_id: bytes) -> None:
        self._crypto = crypto
        self._store = store
        self._lock_id = lock_id
        self.persisted = self._load()
        self._told = self.persisted > 0  # has there ever been a signed time? until then the floor may be ages old
        # The anchor: what the interval was, and the crystal's milliseconds since.
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
            raise StorageError("clock.corrupt", "the persisted floor is not a time")
        return floor

    def _advance(self) -> None:
        now = ticks.now()
        elapsed = ticks.since(now, self._ticked)
        self._ticked = now
        if elapsed < 0:  # the counter has wrapped unseen: more time passed than it can tell
            self._ceiling_ms = None
            elapsed = 0
        self._run += elapsed
        self._up += elapsed
        self._since_persist += elapsed
        self._until_asking -= elapsed
        self._nonce_age += elapsed

    def _bounds(self) -> "tuple[int, int | None]":
        """The interval now, in milliseconds."""
        self._advance()
        drift = _drift(self._run)
        floor, ceiling = self._floor_ms, self._ceiling_ms
        if floor:  # until someone has said what time it is, running makes nothing known
            floor += max(self._run - drift, 0)
        return floor, None if ceiling is None else ceiling + self._run + drift

    def _anchor(self, earliest: int, latest: "int | None") -> None:
        self._floor_ms, self._ceiling_ms, self._run = earliest, latest, 0

    def interval(self) -> "tuple[int, int | None]":
        """(earliest, latest); latest is None until a signed time has arrived since the last cold start."""
        earliest, latest = self._bounds()
        return earliest // 1000, None if latest is None else -(-latest // 1000)

    # --- the floor in flash ------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Call at least every few days (ticks wrap) and often enough to persist the floor. True when it has become
        time to ask for the time: `nonce` has a new question then, for whoever carries it."""
        was_due = self._until_asking <= 0
        self._advance()
        if self._since_persist >= self._persist_after:
            self._persist_after = min(self._up, PERSIST_MS)
            self._persist()
        return self._until_asking <= 0 and not was_due

    def settle(self, until: int) -> None:
        """What ended at `until` shall stay ended: if the floor is beyond it, no power cut takes it back. One write."""
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
        """The 16-byte nonce to have answered with a signed time, or None while the clock is fresh enough.

        It is drawn anew after WIDE_REFRESH_MS: a courier must not gain by carrying an old question late.
        """
        self._advance()
        if self._until_asking > 0:
            return None
        if self._nonce is None or self._nonce_age > WIDE_REFRESH_MS:
            self._nonce = self._crypto.random(16)
            self._nonce_age = 0
        return self._nonce

    def accept(self, signed: "SignedTime") -> None:
        """Take a verified signed time. Raises VerificationError `time.nonce`, `time.rollback` or `time.ahead`.

        The answer was made between our question and now, so the true time is at least what it says, and at most
        that plus the age of the question. One nonce serves once, whatever came of it.
        """
        earliest, latest = self._bounds()
        if self._nonce is None or signed.nonce != self._nonce or signed.lock_id != self._lock_id:
            raise VerificationError("time.nonce", "not an answer to this lock's question")
        self._nonce = None
        age = self._nonce_age + _drift(self._nonce_age)
        stated = signed.time * 1000
        heard = stated + 1000 + age
        if heard < earliest:
            raise self._contradiction("time.rollback", "the signed time lies before the floor")
        if not self._doubted and not self._plausible(stated):
            raise self._contradiction("time.ahead", "the signed time lies beyond what can have passed")
        if latest is not None and age > WIDE_MS:
            heard = min(heard, latest)  # a courier that sat on the answer does not even widen the interval
        self._doubted, self._told = False, True
        # So late an answer says little of the upper end, and a guest who is in shall not be locked out by that little.
        late = latest is None and age > WIDE_REFRESH_MS
        self._anchor(max(earliest, stated), None if late else heard)
        self._until_asking = WIDE_REFRESH_MS if late or heard - self._floor_ms > WIDE_MS else REFRESH_MS
        self._persist()

    def later_than(self, seconds: int) -> None:
        """The true time is not before `seconds`, as a verified statement of the province says of its own making.

        Such a statement answers no nonce: it may be old, so it only raises the floor; and nothing confirms it, so one
        that contradicts the interval is passed by.
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
    """The most that the true duration differs from `ms` by the crystal: drift, rounded up, and a tick's own length."""
    return ms * DRIFT_PPM // 1000000 + 2
