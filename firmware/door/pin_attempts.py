"""Limits how often a PIN may be tried. After a few wrong tries, there is a wait, and each further wrong try doubles the
wait, up to an hour. A power cut does not help an attacker.

A try is charged in flash before it is judged, so a power cut cannot undo the charge. A wait begins again at each boot,
so a power cut cannot shorten the wait. The lock forgets one wrong try for each hour that it runs without another wrong
try. A right PIN does not reduce the count. Otherwise a guest's right PIN would give somebody else another guess. The
number in flash is an upper bound of the count, so that right PINs cost no writes.

    event                                in RAM: wrong tries         in flash: upper bound
    boot                                 the number in flash         -
    `charge` while a wait runs           unchanged, `pin.wait`       unchanged
    `charge`                             one more, less forgotten    raised, if it is lower
    `right` after it                     as before that `charge`     lowered, if it is more than one too high
    an hour without a wrong try          one less at next `charge`   unchanged
"""

from firmware.hardware import ticks
from protocol import cbor, const
from protocol.errors import RefusedError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.store import Store

FREE = 3
"""The first wait begins after this many wrong tries."""
FIRST_WAIT_MS = 30 * 1000
LONGEST_WAIT_MS = 3600 * 1000
"""Length of the wait after the tenth wrong try and after each later wrong try."""
FORGET_MS = 3600 * 1000
"""After this time without a wrong try, the lock forgets one wrong try. In the long run, this allows 24 tries a day."""

_FILE = const("pin")


class PinAttempts:
    """The count of wrong tries at this door. There is one count for all guests, because nobody says whose PIN it is.

    Raises StorageError `pin.corrupt`.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        raw = store.read(_FILE)
        charged = 0 if raw is None else cbor.decode(raw)
        if not isinstance(charged, int) or charged < 0:
            raise StorageError("pin.corrupt", "the count of tries is not a number")
        self._charged = charged  # The upper bound in flash.
        self._wrong, self._since = charged, ticks.now()  # The count, and the time of the last wrong try or boot.
        self._before = self._wrong, self._since  # The values of `_wrong` and `_since` before the last charge.

    def _elapsed(self) -> int:
        """Milliseconds since the last wrong try or since boot, whichever was later."""
        return ticks.age(self._since)

    def wait_ms(self) -> int:
        """Milliseconds until the next try is allowed."""
        if self._wrong < FREE:
            return 0
        wait = min(FIRST_WAIT_MS << min(self._wrong - FREE, 20), LONGEST_WAIT_MS)
        return max(0, wait - self._elapsed())

    def charge(self) -> None:
        """Charge a try before its PIN is compared. Raises RefusedError `pin.wait` while a wait runs, or StorageError if
        the charge cannot be written. After an error, no PIN may be compared."""
        if self.wait_ms():
            raise RefusedError("pin.wait", "too many wrong tries; try later, or use the phone")
        wrong = max(0, self._wrong - self._elapsed() // FORGET_MS) + 1
        if wrong > self._charged:
            self._write(wrong)
        self._before = self._wrong, self._since
        self._wrong, self._since = wrong, ticks.now()

    def right(self) -> None:
        """Take back the last charge, because the PIN was right. Raises StorageError."""
        self._wrong, self._since = self._before
        left = max(0, self._wrong - self._elapsed() // FORGET_MS)
        if self._charged > left + 1:
            self._write(left + 1)  # one more than the count, so that the next try need not write

    def _write(self, charged: int) -> None:
        self._store.write(_FILE, cbor.encode(charged))
        self._charged = charged
