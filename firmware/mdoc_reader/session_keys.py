"""The reader's ephemeral keys, made while the door is idle. On the chip each takes a large part of a second."""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

_CURVE = const("P-256")
"""The curve of nearly every device key. For another curve the key is made when it is needed."""


class SessionKeys:
    """Gives each key pair away once. The pair that is ready is only in RAM, so a reboot forgets it."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        self._ready: tuple[bytes, bytes] | None = None

    def prepare(self) -> None:
        """Make a key pair, unless one is ready."""
        if self._ready is None:
            self._ready = self._crypto.generate(_CURVE)

    def take(self, curve: str) -> "tuple[bytes, bytes]":
        """A fresh (private, public) on `curve` that was never given away before."""
        ready = None
        if curve == _CURVE:
            ready, self._ready = self._ready, None
        return ready or self._crypto.generate(curve)
