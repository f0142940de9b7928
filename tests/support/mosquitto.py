"""One Mosquitto with several listeners: with a password, with TLS, and over WebSocket."""

import base64
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sim.broker import PLACES
from sim.hang import HANG_SECONDS
from sim.ports import ReservedPort

MOSQUITTO = shutil.which("mosquitto", path=PLACES)
USER, PASSWORD = "pi-1", "correct horse"

_SETTINGS = """\
{user}
per_listener_settings true
persistence false
listener {secret} 127.0.0.1
allow_anonymous false
password_file {folder}/passwords
listener {tls} 127.0.0.1
allow_anonymous true
certfile {folder}/server
keyfile {folder}/server-key
listener {strict} 127.0.0.1
allow_anonymous true
certfile {folder}/server
keyfile {folder}/server-key
cafile {folder}/ca
require_certificate true
listener {websocket} 127.0.0.1
protocol websockets
allow_anonymous true
"""


@dataclass(frozen=True)
class Ports:
    """The port of each listener."""

    secret: int
    tls: int
    strict: int
    """With TLS, and only for clients with a certificate."""
    websocket: int


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Ports]:
    """Run Mosquitto in this block. `folder` has its certificate `server`, its key `server-key`, and its `ca`."""
    salt = b"twelve bytes"
    digest = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 101)
    told = f"{USER}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"
    (folder / "passwords").write_text(told)
    (folder / "passwords").chmod(0o600)
    reserved = [ReservedPort() for _ in range(4)]
    ports = Ports(*(each.port for each in reserved))
    user = "user root" if os.geteuid() == 0 else ""  # otherwise it could not read the files of the test
    (folder / "mosquitto.conf").write_text(_SETTINGS.format(folder=folder, user=user, **vars(ports)))
    with (folder / "log").open("wb") as output:
        command = [str(MOSQUITTO), "-c", str(folder / "mosquitto.conf")]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + HANG_SECONDS
        while not all(_answers(port) for port in vars(ports).values()):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield ports
    finally:
        process.kill()
        process.wait()
        for each in reserved:
            each.close()
