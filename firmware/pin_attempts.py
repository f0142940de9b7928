"""How often a PIN may be tried: a few times at once, then after waits that double, over every power cut.

A try is charged in flash before it is judged, so no power cut makes it undone; and a wait begins anew at each boot, so
none makes it shorter. What is written is an upper bound of the failures: a PIN that is right costs no write, unless
there were wrong ones before it.
"""

from firmware import ticks
from protocol import cbor
from protocol.errors import RefusedError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.store import Store

FREE = 3
"""Wrong tries in a row before the first wait."""
FIRST_WAIT_MS = 30 * 1000
LONGEST_WAIT_MS = 3600 * 1000
"""From the tenth wrong try on; a day then has 24 tries."""

_FILE = "pin"


class PinAttempts:
    """The count of wrong tries in a row, of the whole door: nobody says whose PIN they are trying."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        raw = store.read(_FILE)
        charged = 0 if raw is None else cbor.decode(raw)
        if not isinstance(charged, int) or charged < 0:
            raise StorageError("pin.corrupt", "the count of tries is not a number")
        self._charged = charged  # in flash; never less than the wrong tries there were
        self._failures = charged
        self._since = ticks.now()

    def wait_ms(self) -> int:
        """How long until the next try, in milliseconds."""
        doublings = self._failures - FREE
        if doublings < 0:
            return 0
        wait = min(FIRST_WAIT_MS << min(doublings, 20), LONGEST_WAIT_MS)
        waited = ticks.since(ticks.now(), self._since)
        # Negative after so many days without a try that ticks have wrapped: then it is over too.
        return max(0, wait - waited) if waited >= 0 else 0

    def charge(self) -> None:
        """Begin a try. Raises RefusedError `pin.wait`, and then nothing may be compared; StorageError, likewise."""
        if self.wait_ms():
            raise RefusedError("pin.wait", "too many wrong tries; later, or with the phone")
        self._write(max(self._charged, self._failures + 1))
        self._failures += 1
        self._since = ticks.now()

    def right(self) -> None:
        """The try that was charged last was right. Raises StorageError; it counts as right all the same."""
        self._failures = 0
        if self._charged > 1:
            self._write(1)  # the next try is charged already

    def _write(self, charged: int) -> None:
        if charged != self._charged:
            self._store.write(_FILE, cbor.encode(charged))
            self._charged = charged
