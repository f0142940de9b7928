"""How often a PIN may be tried: a few times at once, then after waits that double, over every power cut.

A try is charged in flash before it is judged, so no power cut makes it undone; and a wait begins anew at each boot, so
none makes it shorter. Wrong tries are forgotten one an hour, by the hours that the lock runs: somebody's right PIN
buys nobody another guess. What is in flash is an upper bound, so that right PINs cost no writes.
"""

from firmware.hardware import ticks
from protocol import cbor, const
from protocol.errors import RefusedError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.store import Store

FREE = 3
"""Wrong tries before the first wait."""
FIRST_WAIT_MS = 30 * 1000
LONGEST_WAIT_MS = 3600 * 1000
"""From the tenth wrong try on."""
FORGET_MS = 3600 * 1000
"""One wrong try is forgotten after so long, counted from the last; so no more than 24 a day are to be had for ever."""

_FILE = const("pin")


class PinAttempts:
    """The count of wrong tries, of the whole door: nobody says whose PIN they are trying."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        raw = store.read(_FILE)
        charged = 0 if raw is None else cbor.decode(raw)
        if not isinstance(charged, int) or charged < 0:
            raise StorageError("pin.corrupt", "the count of tries is not a number")
        self._charged = charged  # in flash; never less than the wrong tries there were
        self._wrong, self._since = charged, ticks.now()  # as many, by the time of the last
        self._before = self._wrong, self._since  # the try that is being judged

    def _elapsed(self) -> int:
        """Milliseconds since the last wrong try, or boot."""
        return ticks.age(self._since)

    def wait_ms(self) -> int:
        """How long until the next try, in milliseconds."""
        if self._wrong < FREE:
            return 0
        wait = min(FIRST_WAIT_MS << min(self._wrong - FREE, 20), LONGEST_WAIT_MS)
        return max(0, wait - self._elapsed())

    def charge(self) -> None:
        """Begin a try. Raises RefusedError `pin.wait`, and then nothing may be compared; StorageError, likewise."""
        if self.wait_ms():
            raise RefusedError("pin.wait", "too many wrong tries; later, or with the phone")
        wrong = max(0, self._wrong - self._elapsed() // FORGET_MS) + 1
        if wrong > self._charged:
            self._write(wrong)
        self._before = self._wrong, self._since
        self._wrong, self._since = wrong, ticks.now()

    def right(self) -> None:
        """The try that was charged last was right, so it was no wrong one. Raises StorageError."""
        self._wrong, self._since = self._before
        left = max(0, self._wrong - self._elapsed() // FORGET_MS)
        if self._charged > left + 1:
            self._write(left + 1)  # the next try is charged already

    def _write(self, charged: int) -> None:
        self._store.write(_FILE, cbor.encode(charged))
        self._charged = charged
