"""The secret under which this lock draws its random numbers (firmware/crypto/generator.py): another one at each boot.

What lies in flash is the secret of the next boot, and how many there were. A boot derives two from it: one takes its
place in flash, and when that is durable the other is drawn under, in RAM alone. So a boot has all the numbers that it
may ever draw at the price of one write, none of them is drawn again after a power cut at whatever moment, and the file
does not tell later what was drawn before (backtracking resistance, SP 800-90A, section 8.8; older copies of it are in
the flash until littlefs erases their block).
"""

from firmware.crypto import generator
from firmware.crypto.hkdf import hkdf_expand, hkdf_extract
from protocol import const
from protocol.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.store import Store

_FILE = const("secret")
_SECRET_BYTES = const(32)
_COUNTER_BYTES = const(8)


def begin(store: "Store", extra: bytes = b"") -> None:
    """Draw under a secret that no boot before had. Without one in flash it is made: at enrolment, with the radio on.

    `extra` goes into it too: what others have drawn, who may know it. Raises StorageError, also `identity.corrupt`.
    """
    held = store.read(_FILE) or bytes(_SECRET_BYTES + _COUNTER_BYTES)
    if len(held) != _SECRET_BYTES + _COUNTER_BYTES:
        raise StorageError("identity.corrupt", "the file of the device secret is not of its length")
    count = (int.from_bytes(held[_SECRET_BYTES:], "big") + 1).to_bytes(_COUNTER_BYTES, "big")
    key = hkdf_extract(held[:_SECRET_BYTES], generator.random(_SECRET_BYTES) + extra)
    store.write(_FILE, hkdf_expand(key, b"mooring/next" + count, _SECRET_BYTES) + count)
    generator.begin(hkdf_expand(key, b"mooring/draws" + count, _SECRET_BYTES))
