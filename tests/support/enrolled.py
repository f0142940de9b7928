"""A board that has the lock's software and has been enrolled, like the board of a lock in service."""

from pathlib import Path

from protocol import crypto_cpython as crypto
from protocol import placement, statement
from protocol.fittings import FILE, Fittings
from sim import pki
from tests.support import tap
from tests.support.pty_board import PtyBoard
from tools import software

READY = " lock.ready"

PROVINCE, SEALING = crypto.generate("P-256"), crypto.generate("P-256")
KEYS = crypto.generate("P-256"), crypto.generate("P-256")
"""The lock's key pairs, one for records and one for phones. Tests know these keys, and so can search for them."""
LOCK_ID = placement.lock_id(crypto, KEYS[0][1])

_WRITE = """
def write(path, content):
    folder = ""
    for part in path.split("/")[:-1]:
        folder += "/" + part
        try:
            os.mkdir(folder)
        except OSError:
            pass
    with open("/" + path, "wb") as file:
        file.write(content)
"""
_ENROL = """
from firmware import crypto
from firmware.memory import identity
from firmware.memory.store import Store
identity.enrol(crypto, Store("/state"), {province!r})
print("enrolled")
import time
time.sleep(600)
"""


def board(folder: Path, made: software.Stage, fittings: bytes | None = None, placed: bool = True) -> Path:
    """Make the folder of a `PtyBoard` with the software `made`, and return the folder. The lock is enrolled with
    PROVINCE.

    The lock has a button, unless `fittings` say something else.
    """
    files = {entry.path: (made.folder / entry.path).read_bytes() for entry in made.entries}
    files["state/keys"] = KEYS[0][0] + KEYS[1][0]
    files[f"state/{FILE}"] = Fittings(button=True).encode() if fittings is None else fittings
    if placed:
        chain = [pki.reader_certificate(tap.reader_root(), KEYS[1][1])]
        stands = placement.Placement(
            *(1, LOCK_ID, "HZ-1", "active", PROVINCE[1], SEALING[1]), *("CN", "302", chain, "named", 1)
        )
        files["state/placement"] = statement.sign(crypto, PROVINCE[0], "placement", stands.body())
    put = "".join(f"write({path!r}, {content!r})\n" for path, content in files.items())
    with PtyBoard(folder, extra=_WRITE + put + _ENROL.format(province=PROVINCE[1])) as one:
        one.wait_for("enrolled")
    return folder
