"""Time on a lock that is offline: an interval `[earliest, latest]` that is sure to hold the true time.

`earliest` stands on a floor that never goes back: persisted, raised by every signed time. `latest` is unknown after a
cold start, until the province answers a nonce of ours. Between answers both move with the crystal's worst drift.
"""

from firmware import ticks
from protocol import cbor
from protocol.errors import StorageError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.store import Store
    from protocol.crypto import Crypto
    from protocol.signed_time import SignedTime

DRIFT_PPM = 100
"""Worst drift assumed of the 40 MHz crystal and its tick conversion, either way; the datasheets promise 10 to 40."""

PERSIST_MS = 3600 * 1000
"""The floor is written hourly: 24 small writes a day, and a power cut costs at most an hour of floor."""

REFRESH_MS = 6 * 3600 * 1000
"""After this the lock asks for the time again: at 100 ppm each way the interval is then 5 seconds wide."""

_FILE = "clock"


class Clock:
    """The interval clock. All times are whole seconds since 1970-01-01 UTC."""

    def __init__(self, crypto: "Crypto", store: "Store", lock_id: bytes) -> None:
        self._crypto = crypto
        self._store = store
        self._lock_id = lock_id
        self._earliest_ms = self._load() * 1000
        self._latest_ms: int | None = None
        self._ticked = ticks.now()
        self._since_persist = 0
        self._since_signed = REFRESH_MS
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
        drift = elapsed * DRIFT_PPM // 1000000 + 1
        self._earliest_ms += max(elapsed - drift, 0)
        if self._latest_ms is not None:
            self._latest_ms += elapsed + drift
        self._since_persist += elapsed
        self._since_signed += elapsed
        self._nonce_age += elapsed + drift

    def interval(self) -> "tuple[int, int | None]":
        """(earliest, latest); latest is None until a signed time has arrived since the last cold start."""
        self._advance()
        latest = self._latest_ms
        return self._earliest_ms // 1000, None if latest is None else -(-latest // 1000)

    def tick(self) -> None:
        """Call at least every few days (ticks wrap) and often enough to persist the floor."""
        self._advance()
        if self._since_persist >= PERSIST_MS:
            self._persist()

    def _persist(self) -> None:
        self._store.write(_FILE, cbor.encode(self._earliest_ms // 1000))
        self._since_persist = 0

    def nonce(self) -> "bytes | None":
        """The 16-byte nonce to have answered with a signed time, or None while the clock is fresh enough."""
        self._advance()
        if self._since_signed < REFRESH_MS:
            return None
        if self._nonce is None:
            self._nonce = self._crypto.random(16)
            self._nonce_age = 0
        return self._nonce

    def accept(self, signed: "SignedTime") -> None:
        """Take a verified signed time. Raises VerificationError `time.nonce` or `time.rollback`.

        The answer was made between our question and now, so the true time is at least what it says, and at most
        that plus the age of the question. One nonce serves once.
        """
        self._advance()
        if self._nonce is None or signed.nonce != self._nonce or signed.lock_id != self._lock_id:
            raise VerificationError("time.nonce", "not an answer to this lock's question")
        stated = signed.time * 1000
        latest = stated + 1000 + self._nonce_age
        if latest < self._earliest_ms:
            raise VerificationError("time.rollback", "the signed time lies before the floor")
        self._nonce = None
        self._earliest_ms = max(self._earliest_ms, stated)
        self._latest_ms = latest
        self._since_signed = 0
        self._persist()
