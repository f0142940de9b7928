"""Connects the stand-ins to the host by TCP. One connection is the line to the board bus. Runs on both runtimes."""

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
    """As `protocol.const`. A blank board does not have `protocol`."""
    return value


def uptime() -> int:
    """Return this machine's clock in milliseconds."""
    # The function is looked up by name, because each runtime has only one of the two functions.
    return int(getattr(time, "ticks_ms")() if _MICROPYTHON else time.monotonic_ns() // 1_000_000)  # noqa: B009


_passed = [0]


def ticks() -> int:
    """Return the lock's milliseconds: this machine's clock, plus the time that the host added by the input "ticks"."""
    if _MICROPYTHON:
        return int(getattr(time, "ticks_add")(uptime(), _passed[0]))  # noqa: B009
    return uptime() + _passed[0]


def connect(address: str) -> socket.socket:
    """Connect to "host:port". Returns the socket. Raises OSError if it fails."""
    host, _, port = address.rpartition(":")
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.connect(socket.getaddrinfo(host, int(port))[0][-1])
    if not _MICROPYTHON:
        # Without this option, each small message would wait 40 ms for an acknowledgement.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: "Any", data: bytes) -> None:
    """Send all of `data`. Raises OSError if it fails."""
    # MicroPython's socket is a stream. The stream's `write` sends all bytes. The stream's `send` may send only a part
    # of the bytes.
    if _MICROPYTHON:
        connection.write(data)
    else:
        connection.sendall(data)


class BoardLine:
    """The line to the board bus (`sim.board.bus`), if MOORING_BOARD names a bus.

    If the host goes away, the lock goes on. All stand-ins share the object that `line` returns. So the reports of all
    stand-ins are numbered in one sequence.
    """

    def __init__(self) -> None:
        self.pins: dict[Any, Any] = {}
        self.levels: dict[Any, Any] = {}
        self.socket: Any = None
        self._rest = b""
        # The interpreter takes a number in a single step. So a timer's callback cannot take the same number.
        self._next = iter(range(1, 1 << 30))
        address = os.getenv("MOORING_BOARD")
        if address:
            self.socket = connect(address)
            self._poll = select.poll()
            self._poll.register(self.socket, select.POLLIN)
            # Wait for all inputs, because a chip knows its inputs from the first moment on. The host ends the list of
            # inputs with an empty line.
            while self.socket is not None and None not in self.levels:
                self._take(self.socket.recv(1024))

    def report(self, **facts: "Any") -> None:
        """Send one event, with the time and the event's number in this boot."""
        if self.socket is None:
            return
        facts["n"] = next(self._next)
        facts["t"] = ticks()
        try:
            send(self.socket, json.dumps(facts).encode() + b"\n")
        except OSError:
            self.socket = None

    def take_inputs(self) -> None:
        """Apply the inputs that the host has set since the last call. Never waits."""
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


_lines: "list[BoardLine]" = []  # at most one line


def line() -> BoardLine:
    """Return the board's only line to the host. The first call connects it."""
    if not _lines:
        _lines.append(BoardLine())
    return _lines[0]
