"""Send a message over GATT. At times the stack has no buffer, and it does not say when it has one again."""

import asyncio

from firmware.hardware import ticks
from protocol.errors import TransportError
from protocol.parts import Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_SECONDS = 0.005
"""Pause between two tries while the stack has no buffer. A buffer comes free after a connection interval at the
earliest; this is shorter."""
STUCK_MS = 5000
"""A peer that has taken nothing for this long is not coming back."""

_NOT_CONNECTED = 107, 128  # ENOTCONN: of Linux, and of lwIP, whose numbers the ESP32 port uses


async def send_message(message: bytes, mtu: int, write: "Callable[[bytes], None]") -> None:
    """Split `message` into parts for an ATT MTU of `mtu`, and pass them to `write` one after the other.

    An OSError of `write` means that the stack cannot send now, or is not connected. Every other exception of `write`
    ends the sending. Raises TransportError `ble.lost` and `ble.stuck`, FormatError `parts.empty`, and these exceptions.
    """
    blocked = None
    for part in Parts(message, mtu):
        while True:
            try:
                write(part)
                blocked = None
                break
            except OSError as error:
                if error.args[0] in _NOT_CONNECTED:
                    raise lost()
                # Most likely no buffer is free.
                now = ticks.now()
                blocked = now if blocked is None else blocked
                if ticks.since(now, blocked) > STUCK_MS:
                    raise TransportError("ble.stuck", "the peer takes no more data")
            await asyncio.sleep(RETRY_SECONDS)


def lost() -> TransportError:
    """The error for a connection that is gone."""
    return TransportError("ble.lost", "the connection was lost")
