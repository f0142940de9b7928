"""Send a message over GATT. At times, the stack has no free buffer, and it does not report when one is free again."""

import asyncio

from firmware.hardware import ticks
from protocol.errors import TransportError
from protocol.parts import Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_SECONDS = 0.005
"""Pause between two tries while the stack has no free buffer. This pause is shorter than a connection interval. A
buffer becomes free only at the end of a connection interval."""
STUCK_MS = 5000
"""If a peer has taken no data for this long, the sending fails."""

_NOT_CONNECTED = 107, 128  # ENOTCONN on Linux and in lwIP; the ESP32 port uses the numbers of lwIP


async def send_message(message: "bytes | memoryview", mtu: int, write: "Callable[[bytes], None]") -> None:
    """Split `message` into parts for an ATT MTU of `mtu`, and pass them to `write` one after the other.

    An OSError raised by `write` means that the stack cannot send now, or is not connected. Any other exception raised
    by `write` ends the sending and is passed on. Raises TransportError `ble.lost` if the connection is lost, or
    `ble.stuck` if the peer takes no data for STUCK_MS. Raises FormatError `parts.empty` if the message is empty.
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
    """Return the error to raise when the connection is lost."""
    return TransportError("ble.lost", "the connection was lost")
