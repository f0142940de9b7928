"""State of one lock while the agent runs, and the methods that the agent needs from the link to a lock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypedDict, Unpack

from edge_agent.credentials import Credentials
from edge_agent.faults import Faults
from edge_agent.rotation import Rotation
from protocol.link import Hello
from protocol.record import Record

OnHello = Callable[[Hello], Awaitable[None]]


class Link(Protocol):
    """Methods that the agent needs from a link. `edge_agent.lock_link.LockLink` has them."""

    @property
    def connected(self) -> bool:
        """Return True if there is a working connection and the lock has said HELLO on it."""

    async def prove(self) -> bytes:
        """Connect, let the peer prove that it is one of our own locks, and return the lock's id.

        If a place is free, `run` then continues with this connection. Raises MooringError; then the connection is
        closed.
        """

    async def run(self) -> None:
        """Visit the lock whenever it has its turn, until cancelled."""

    async def deliver(self, statement: bytes) -> str | None:
        """Hand over a statement. Return the lock's refusal or None. Raises TransportError, FormatError."""


class LinkParts(TypedDict):
    """What the agent gives to each link. The members are parameters of `edge_agent.lock_link.LockLink`."""

    on_hello: OnHello
    on_record: Callable[[Record], Awaitable[None]]
    next_counter: Callable[[Hello], int]
    credentials: Credentials
    credit: int
    rotation: Rotation
    faults: Faults


class LinkFactory(Protocol):
    """Makes the link to a lock."""

    def __call__(self, address: str, **parts: Unpack[LinkParts]) -> Link:
        """Return the link to the lock at `address`."""


class LockState:
    """A lock at one address: the link to the lock, and the lock's last HELLO.

    `make_link(on_hello)` makes the link. `on_hello(lock, hello)` checks each HELLO before the HELLO is kept. An
    exception from `on_hello` ends the connection. `lock_id` is given if a lock has proven itself at this address
    before.
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
        """Id of the lock that proved itself at this address; empty until a lock has done so."""
        self.hello: Hello | None = None
        """The last HELLO. The value is None before the first HELLO, and also if the last HELLO could not be
        reported."""
        self.time_answer: tuple[bytes, bytes] | None = None
        """The lock's nonce and the province's signed answer to it. Nonce and answer are kept until the answer is handed
        over.
        """
        self.signal: int | None = None
        """How strongly a scan has last heard the lock, in dBm; None before that."""
        self.due = asyncio.Event()
        """This event is set when something may be waiting for the lock."""
        self.link = make_link(heard)

    @property
    def connected(self) -> bool:
        """Return True if the lock is in reach now."""
        return self.link.connected and self.hello is not None

    def holds(self, kind: str, serial: int) -> bool:
        """Return True if the lock's HELLO says that the lock holds the statement with this kind and serial."""
        return serial > 0 and self.hello is not None and self.hello.held.get(kind) == serial

    async def prove(self) -> None:
        """Call `Link.prove` and keep the lock's id."""
        self.lock_id = await self.link.prove()

    def keep_hello(self, hello: Hello) -> None:
        """Keep a good HELLO, and start a delivery."""
        self.hello, self.lock_id = hello, hello.lock_id
        self.due.set()

    def forget_hello(self) -> None:
        """Treat the lock as out of reach until its next HELLO."""
        self.hello = None

    def keep_signal(self, signal: int | None) -> None:
        """Keep the signal with which a scan has heard the lock, in dBm."""
        self.signal = signal

    def keep_time_answer(self, nonce: bytes, signed: bytes) -> None:
        """Keep an answer to `nonce` for the next delivery."""
        self.time_answer = nonce, signed

    def take_time_answer(self) -> bytes | None:
        """Return the kept answer, or None if the lock no longer waits for it. Drop the answer in both cases.

        A late answer would only cost the lock a useless signature check.
        """
        answer, self.time_answer = self.time_answer, None
        waits = answer is not None and self.hello is not None and self.hello.time_nonce == answer[0]
        return answer[1] if answer is not None and waits else None
