"""Reserves TCP ports of this machine, for programs that must be told their port before they listen."""

import random
import socket
from typing import Final

ORDINARY: Final = range(10240, 32768)
"""These are below the ports of outgoing connections (from 32768 on Linux, from 49152 on macOS). Otherwise an outgoing
connection could take the port between two starts of a program, and a client that asks too early could reach itself."""


class ReservedPort:
    """A loopback port `among` these that nobody listens on. Nobody else can reserve it until `close`.

    The UDP port of the same number serves as the mark. It becomes free when this process ends, however it ends.
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
        """Give the port back."""
        self._mark.close()
