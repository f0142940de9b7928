"""The stand-ins' lines to the host: TCP connections, and the board bus over one. Runs on both runtimes of the lock."""

import json
import os
import select
import socket
import sys
import time

_MICROPYTHON = sys.implementation.name == "micropython"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def const(value: int) -> int:
    """As `protocol.const`, which a blank board does not have."""
    return value


def uptime() -> int:
    """This machine's clock in milliseconds."""
    # Looked up by name, because each runtime has only one of the two functions.
    return int(getattr(time, "ticks_ms")() if _MICROPYTHON else time.monotonic_ns() // 1_000_000)  # noqa: B009


_passed = [0]


def ticks() -> int:
    """The lock's milliseconds: this machine's clock, plus what the host adds at once by the input "ticks"."""
    if _MICROPYTHON:
        return int(getattr(time, "ticks_add")(uptime(), _passed[0]))  # noqa: B009
    return uptime() + _passed[0]


def connect(address: str) -> socket.socket:
    """A connection to "host:port". Raises OSError."""
    host, _, port = address.rpartition(":")
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.connect(socket.getaddrinfo(host, int(port))[0][-1])
    if not _MICROPYTHON:
        # Otherwise each small message would wait 40 ms for an acknowledgement.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: "Any", data: bytes) -> None:
    """Send all of `data`. Raises OSError."""
    # MicroPython's socket is a stream. Its `write` sends everything, its `send` may not.
    if _MICROPYTHON:
        connection.write(data)
    else:
        connection.sendall(data)


class BoardLine:
    """The line to the board bus, `sim.board.bus`, if MOORING_BOARD names one. The lock goes on if the host goes away.

    `line` returns the one that all stand-ins share. So all their reports are numbered in one sequence.
    """

    def __init__(self) -> None:
        self.pins: dict[Any, Any] = {}
        self.levels: dict[Any, Any] = {}
        self.socket: Any = None
        self._rest = b""
        # Taking a number is one step of the interpreter. So the callback of a timer cannot take the same number.
        self._next = iter(range(1, 1 << 30))
        address = os.getenv("MOORING_BOARD")
        if address:
            self.socket = connect(address)
            self._poll = select.poll()
            self._poll.register(self.socket, select.POLLIN)
            # A chip knows its inputs from the first moment on. The host ends the list of inputs with an empty line.
            while self.socket is not None and None not in self.levels:
                self._take(self.socket.recv(1024))

    def report(self, **facts: "Any") -> None:
        """Send one event, with the time and its number in this boot."""
        if self.socket is None:
            return
        facts["n"] = next(self._next)
        facts["t"] = ticks()
        try:
            send(self.socket, json.dumps(facts).encode() + b"\n")
        except OSError:
            self.socket = None

    def take_inputs(self) -> None:
        """Apply the inputs that the host has set since. Never waits."""
        while self.socket is not None and self._poll.poll(0):
            self._take(self.socket.recv(1024))

    def _take(self, data: bytes) -> None:
        if not data:
            self.socket = None
            return
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            facts: dict[str, Any] = json.loads(line) if line else {"pin": None, "value": 0}
            if facts["pin"] == "ticks":
                _passed[0] = facts["value"]
            self.levels[facts["pin"]] = facts["value"]
            pin = self.pins.get(facts["pin"])
            if pin is not None:
                pin.set_from_outside(facts["value"])


_lines: "list[BoardLine]" = []  # one at most


def line() -> BoardLine:
    """The board's one line to the host. It connects when the first stand-in asks for it."""
    if not _lines:
        _lines.append(BoardLine())
    return _lines[0]
