"""A message out over GATT, against a stack that at times has no buffer and does not say when it has one again."""

import asyncio

from firmware.hardware import ticks
from protocol.errors import TransportError
from protocol.parts import Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_SECONDS = 0.005
"""Wait while the stack has no buffer: shorter than a connection interval, the soonest that one comes free."""
STUCK_MS = 5000
"""A peer that takes nothing for so long is not coming back."""

_NOT_CONNECTED = 107, 128  # ENOTCONN: of Linux, and of lwIP, whose numbers the ESP32 port uses


async def send_message(message: bytes, mtu: int, write: "Callable[[bytes], None]") -> None:
    """Give the parts of `message`, for an ATT MTU of `mtu`, to `write` one after the other.

    `write` raises what the stack raises, or whatever else ends the sending. Raises TransportError `ble.lost` and
    `ble.stuck`, FormatError `parts.empty`, and what `write` raises that is no OSError.
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
                # No buffer free, most likely.
                now = ticks.now()
                blocked = now if blocked is None else blocked
                if ticks.since(now, blocked) > STUCK_MS:
                    raise TransportError("ble.stuck", "the other side takes nothing")
            await asyncio.sleep(RETRY_SECONDS)


def lost() -> TransportError:
    """The connection is gone."""
    return TransportError("ble.lost", "the connection was lost")
