"""The brokers that the configuration lists, and which of them is tried next."""

from collections.abc import Sequence
from typing import NamedTuple


class Address(NamedTuple):
    """Host and port of a broker."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, port: int) -> Address | None:
    """Read `host`, `host:port`, `::1` or `[::1]:port`. Without a port, `port` is used. Return None if it is no host."""
    host, given = text, ""
    if text.startswith("["):
        host, end, rest = text[1:].partition("]")
        if not end or ":" not in host or (rest and not rest.startswith(":")):
            return None
        given = rest[1:] if rest else str(port)
    elif text.count(":") == 1:
        host, _, given = text.partition(":")
    given = given if given or text.endswith(":") else str(port)
    try:
        host.encode("idna")
    except UnicodeError:
        return None
    if not host or set(host) & set(" /@[]") or not (given.isascii() and given.isdecimal()):
        return None
    return Address(host, int(given)) if len(given) < 6 and 1 <= int(given) <= 65535 else None


class Brokers:
    """The brokers in the order of the configuration. After a failure the next one is tried, in a circle.

    The agent stays with a broker as long as it works, and does not go back by itself to one that failed.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)
        self._at = self._failures = 0

    @property
    def current(self) -> Address:
        """The broker to try now."""
        return self._addresses[self._at]

    def works(self) -> None:
        """Note that the current broker works."""
        self._failures = 0

    def fails(self) -> bool:
        """Go to the next broker. Return True if each broker has failed since the last one that worked. Then wait before
        the next attempt."""
        self._failures += 1
        self._at = (self._at + 1) % len(self._addresses)
        return self._failures % len(self._addresses) == 0
