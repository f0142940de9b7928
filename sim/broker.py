"""An MQTT 5 broker in a separate process. The broker is rumqttd from the `iotcore` wheel, or Mosquitto if Mosquitto is
installed.

Both brokers are configured to keep nothing over a restart, because nothing in Mooring may depend on a broker's memory.

Experiments showed that rumqttd 0.20 differs from Mosquitto as follows. The clients here allow for these differences:

- The router of rumqttd panics when a session returns with unacknowledged messages of a shared subscription. The port
  still accepts connections, but clients get no answer. So clients use a clean start and no session expiry.

- rumqttd drops a client that acknowledges out of order, and it ignores a client's Receive Maximum.

- When a consumer goes away, its unacknowledged messages go to no other consumer. So only a receipt ends custody.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from protocol.errors import ConfigError, TransportError
from sim.hang import HANG_SECONDS
from sim.ports import ReservedPort

Kind = Literal["iotcore", "mosquitto"]

STOP_SECONDS: Final = 5.0
MAX_PAYLOAD: Final = 262144

_RUMQTTD = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {payload}
max_inflight_count = 100
dynamic_filters = true
"""

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
message_size_limit {payload}
"""

# CONNECT of MQTT 5: clean start, keepalive 5 s, no properties, client id "ready".
_CONNECT: Final = b"\x10\x12\x00\x04MQTT\x05\x02\x00\x05\x00\x00\x05ready"
_CONNACK: Final = 0x20


PLACES: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
"""Folders with programs. Debian installs Mosquitto in a folder that is only on root's PATH."""


def available(places: str = PLACES) -> list[Kind]:
    """Return the kinds of broker that can be started with the programs in `places`. "iotcore" is always the first."""
    return ["iotcore", "mosquitto"] if shutil.which("mosquitto", path=places) else ["iotcore"]


class Broker:
    """A broker on a loopback port. The broker starts when the object is made. The object is a context manager.

    If no port is given, a free one is used. To simulate an outage, call `stop` and then `start`. The port stays the
    same. Raises ConfigError `broker.missing` if `kind` is not installed. Raises TransportError `broker.start` if it
    does not start.
    """

    host: Final = "127.0.0.1"

    def __init__(self, kind: Kind = "iotcore", port: int | None = None, places: str = PLACES) -> None:
        if kind not in available(places):
            raise ConfigError("broker.missing", "Mosquitto is not installed. On Debian: `apt-get install mosquitto`")
        self.kind = kind
        self._places = places
        self._reserved: ReservedPort | None = None
        if port is None:
            self._reserved = ReservedPort()
            port = self._reserved.port
        self.port = port
        self._folder = tempfile.TemporaryDirectory(prefix="mooring-broker-")
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> bool:
        """Is the process running?"""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker and wait until it answers a CONNECT. If the broker is already running, do nothing."""
        if self.running:
            return
        template = _RUMQTTD if self.kind == "iotcore" else _MOSQUITTO
        # rumqttd recognises the format of its configuration by the suffix of the file's name.
        settings = Path(self._folder.name, "broker.toml" if self.kind == "iotcore" else "broker.conf")
        settings.write_text(template.format(port=self.port, payload=MAX_PAYLOAD))
        with Path(self._folder.name, "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command(settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # In a new session, Ctrl-C does not reach the broker. Ctrl-C reaches the demo, which then stops the
                # broker.
                start_new_session=True,
            )
        deadline = time.monotonic() + HANG_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise TransportError("broker.start", f"{self.kind} does not start: {self.log()[-500:]}")
            time.sleep(0.02)

    def _command(self, settings: Path) -> list[str]:
        if self.kind == "mosquitto":
            return [str(shutil.which("mosquitto", path=self._places)), "-c", str(settings)]
        return [sys.executable, "-m", "iotcore", "--config", str(settings), "--log-level", "CRITICAL"]

    def answers(self) -> bool:
        """Does the broker answer a CONNECT? A TCP connection alone proves nothing.

        rumqttd still accepts connections after its router has died.
        """
        try:
            with socket.create_connection((self.host, self.port), timeout=0.5) as probe:
                probe.sendall(_CONNECT)
                answered = probe.recv(4)[:1] == bytes((_CONNACK,))
                with contextlib.suppress(OSError):
                    probe.sendall(b"\xe0\x00")  # DISCONNECT
                return answered
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the process. The broker's memory is lost, as after a crash. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Stop the process without a message to the clients. Otherwise as `stop`."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def log(self) -> str:
        """Return the text that the process has printed."""
        path = Path(self._folder.name, "broker.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """Stop the broker, and remove its folder."""
        self.stop()
        self._folder.cleanup()
        if self._reserved:
            self._reserved.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def started(port: int | None = None) -> Broker:
    """Start a broker, as `Broker` does, in a thread. Locks of another site may need the event loop meanwhile."""
    starting = asyncio.create_task(asyncio.to_thread(Broker, "iotcore", port))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(ConfigError, TransportError):
            (await starting).close()
        raise
