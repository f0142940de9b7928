"""What the agent knows about a lock while it runs, and what it needs from the link to that lock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_agent.credentials import Credentials
from edge_agent.faults import Faults
from protocol.link import Hello
from protocol.record import Record

OnHello = Callable[[Hello], Awaitable[None]]


class Link(Protocol):
    """What the agent needs from a link. `edge_agent.lock_link.LockLink` is the one in use."""

    @property
    def connected(self) -> bool:
        """Is there a working connection on which the lock has said HELLO?"""

    async def prove(self) -> bytes:
        """Connect, and let the peer prove that it is a lock which our passes list; returns the lock's id.

        `run` then continues with that connection. Raises MooringError, after which there is no connection.
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
        on_hello: OnHello,
        on_record: Callable[[Record], Awaitable[None]],
        next_counter: Callable[[Hello], int],
        credentials: Credentials,
        credit: int,
        gate: asyncio.Semaphore,
        faults: Faults,
    ) -> Link:
        """The link to the lock at `address`."""


class LockState:
    """A lock at one address: the link to it, and what the lock said last.

    `make_link(on_hello)` makes the link. `on_hello(lock, hello)` judges each HELLO before it is kept here; whatever it
    raises ends the connection. `lock_id` is given when the lock behind this address has proven itself before.
    """

    def __init__(
        self,
        address: str,
        make_link: Callable[[OnHello], Link],
        on_hello: Callable[["LockState", Hello], None],
        lock_id: bytes = b"",
    ) -> None:
        async def heard(hello: Hello) -> None:
            on_hello(self, hello)

        self.address = address
        self.lock_id = lock_id
        """Id of the lock that proved itself at this address; empty while none has."""
        self.hello: Hello | None = None
        """The last HELLO; None before the first, and after one that could not be reported."""
        self.time_answer: tuple[bytes, bytes] | None = None
        """The nonce of the lock that the province answered, and the signed answer, until it is handed over."""
        self.due = asyncio.Event()
        """Set when something may be waiting for the lock."""
        self.link = make_link(heard)

    @property
    def connected(self) -> bool:
        """Is it in reach now?"""
        return self.link.connected and self.hello is not None

    def holds(self, kind: str, serial: int) -> bool:
        """Did the lock say that it holds the statement of that kind and serial?"""
        return serial > 0 and self.hello is not None and self.hello.held.get(kind) == serial

    async def prove(self) -> None:
        """As `Link.prove`; keeps the id."""
        self.lock_id = await self.link.prove()

    def keep_hello(self, hello: Hello) -> None:
        """Keep what a good HELLO says; a delivery may be due now."""
        self.hello, self.lock_id = hello, hello.lock_id
        self.due.set()

    def forget_hello(self) -> None:
        """Treat the lock as out of reach until its next HELLO."""
        self.hello = None

    def keep_time_answer(self, nonce: bytes, signed: bytes) -> None:
        """Keep an answer to `nonce` for the next delivery."""
        self.time_answer = nonce, signed

    def take_time_answer(self) -> bytes | None:
        """The answer that is kept, if the lock still waits for it; it is kept no longer.

        A late answer would only cost the lock a signature check.
        """
        answer, self.time_answer = self.time_answer, None
        waits = answer is not None and self.hello is not None and self.hello.time_nonce == answer[0]
        return answer[1] if answer is not None and waits else None
