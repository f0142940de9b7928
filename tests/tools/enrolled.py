"""A board with the lock's software, enrolled: what a lock in service is."""

from pathlib import Path

from protocol.fittings import FILE, Fittings
from tests.tools.pty_board import PtyBoard
from tools import software

ENROL = """
from firmware import crypto, identity
from firmware.store import Store
try:
    os.mkdir("/state")
except OSError:
    pass
identity.enrol(crypto, Store("/state"), crypto.generate("P-256")[1])
Store("/state").write({file!r}, {fittings!r})
"""
READY = " lock.ready"


def board(folder: Path, made: software.Stage, fittings: bytes | None = None) -> Path:
    """The folder of a `PtyBoard` that holds `made` and the keys of a lock that was enrolled by nobody in particular."""
    files = "".join(f"write({entry.path!r}, {(made.folder / entry.path).read_bytes()!r})\n" for entry in made.entries)
    put = """
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
    enrol = ENROL.format(file=FILE, fittings=fittings if fittings is not None else Fittings(button=True).encode())
    with PtyBoard(folder, extra=put + files + enrol + "print('enrolled')\nimport time\ntime.sleep(600)") as one:
        one.wait_for("enrolled")
    return folder
