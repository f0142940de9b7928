"""The reader's ephemeral keys. The keys are made while the door is idle, because each key takes a large part of a
second on the chip."""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

_CURVE = const("P-256")
"""The curve of nearly every device key. A key on any other curve is made only when it is needed."""


class SessionKeys:
    """Gives out each key pair once. A pair that is ready for use is only in RAM, so a reboot forgets it."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        self._ready: tuple[bytes, bytes] | None = None

    def prepare(self) -> bool:
        """Make a key pair, unless one is ready. Return whether one was made."""
        if self._ready is not None:
            return False
        self._ready = self._crypto.generate(_CURVE)
        return True

    def take(self, curve: str) -> "tuple[bytes, bytes]":
        """Return a fresh key pair (private, public) on `curve`. No pair is given out twice."""
        ready = None
        if curve == _CURVE:
            ready, self._ready = self._ready, None
        return ready or self._crypto.generate(curve)
