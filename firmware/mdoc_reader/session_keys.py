"""The reader's ephemeral keys, made while the door is idle: on the chip each takes a good part of a second of a tap."""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

_CURVE = const("P-256")
"""Of nearly every device key there is; for another one the key is made when it is needed."""


class SessionKeys:
    """Gives each key pair away once. What is ready is in RAM alone: a reboot forgets it."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        self._ready: tuple[bytes, bytes] | None = None

    def prepare(self) -> None:
        """Have a key ready; does nothing if there is one."""
        if self._ready is None:
            self._ready = self._crypto.generate(_CURVE)

    def take(self, curve: str) -> "tuple[bytes, bytes]":
        """A fresh (private, public) on `curve`, never given before."""
        ready = None
        if curve == _CURVE:
            ready, self._ready = self._ready, None
        return ready or self._crypto.generate(curve)
