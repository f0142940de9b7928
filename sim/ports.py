"""Reserves TCP ports of this machine for programs that must be given their port before they listen."""

import random
import socket
from typing import Final

ORDINARY: Final = range(10240, 32768)
"""Ports that are lower than the ports of outgoing connections. Outgoing connections use ports from 32768 on Linux and
from 49152 on macOS. Such a connection could take the port of a program between two starts of the program. A client that
connects too early could even reach itself."""


class ReservedPort:
    """A free loopback port from the range `among`. Nobody else can reserve this port until `close` is called.

    The bound UDP port of the same number marks this port as reserved. When this process ends in any way, the UDP port
    becomes free.
    """

    def __init__(self, among: range = ORDINARY) -> None:
        while True:
            self.port = random.choice(among)
            self._mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self._mark.bind(("127.0.0.1", self.port))
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", self.port))
                return
            except OSError:
                self._mark.close()

    def close(self) -> None:
        """Release the reservation."""
        self._mark.close()
