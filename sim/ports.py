"""TCP ports of this machine for programs that must be told theirs before they listen."""

import random
import socket
from typing import Final

ORDINARY: Final = range(10240, 32768)
"""Below those that the system gives to outgoing connections (32768 on, Linux; 49152 on, macOS): one of these could take
the port between two starts of a program, and a client that asks too early could even reach itself."""


class ReservedPort:
    """A loopback port `among` these that nobody listens on, and that nobody else reserves until `close`.

    The mark is the UDP port of the same number: it is free again when this process ends, however it ends.
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
        """Let others have it."""
        self._mark.close()
