"""A lock as the agent knows it while it runs, and what the agent needs of the link to it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_agent.credentials import Credentials
from edge_agent.faults import Faults
from protocol.link import Hello


class Link(Protocol):
    """What the agent needs of a link; `edge_agent.lock_link.LockLink` is the one in use."""

    @property
    def connected(self) -> bool:
        """Has the lock said HELLO on a connection that stands?"""

    async def prove(self) -> bytes:
        """Connect, and have whoever is there prove to be a lock that our passes list; returns its id.

        `run` goes on with that connection. Raises MooringError, after which there is no connection.
        """

    async def run(self) -> None:
        """Keep the link up until cancelled."""

    async def deliver(self, statement: bytes) -> str | None:
        """Hand over a statement; returns the lock's refusal or None. Raises TransportError, FormatError."""


class LinkFactory(Protocol):
    """Makes the link to a lock; the parameters are those of `LockLink`."""

    def __call__(
        self,
        address: str,
        *,
        on_hello: Callable[[Hello], Awaitable[None]],
        on_record: Callable[[bytes, bytes], Awaitable[None]],
        next_counter: Callable[[Hello], int],
        credentials: Credentials,
        credit: int,
        gate: asyncio.Semaphore,
        faults: Faults,
    ) -> Link:
        """The link to the lock at `address`."""


class LockState:
    """A lock at an address: its link and what it said last."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.link: Link | None = None
        self.lock_id = b""
        """Of the lock that proved itself here; empty while none has."""
        self.hello: Hello | None = None
        self.due = asyncio.Event()
        """Something may be waiting to be delivered."""
        self.time_answer: bytes | None = None
        self.asked: tuple[bytes, float] | None = None
        """Nonce and moment of the last time request."""
        self.announced: tuple[dict[str, int], float] | None = None

    def holds(self, kind: str, serial: int) -> bool:
        """Did it say that it holds the statement of that kind and serial?"""
        return serial > 0 and self.hello is not None and self.hello.held.get(kind) == serial

    @property
    def connected(self) -> bool:
        """Is it in reach now?"""
        return self.link is not None and self.link.connected and self.hello is not None
