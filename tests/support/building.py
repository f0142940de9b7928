"""An edge agent with wires in place of its radio links, for tests of everything behind the radio link."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Unpack

from edge_agent import config, database, inventory
from edge_agent.agent import Agent
from edge_agent.backoff import Backoff
from edge_agent.credentials import Credentials
from edge_agent.discovery import Heard
from edge_agent.lock_state import LinkParts, OnHello
from edge_agent.notify import Notifier
from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.edge_pass import KIND, MAX_LOCKS, EdgePass
from protocol.errors import MooringError, TransportError
from protocol.link import Hello
from protocol.record import Record
from tests.support.signing_lock import PROVINCE_PRIVATE, PROVINCE_PUBLIC, SigningLock, opened


class WiredLink:
    """A link by wire. This class has the interface of `edge_agent.lock_link.LockLink` and calls the agent in the same
    order.
    """

    def __init__(
        self,
        lock: SigningLock,
        on_hello: OnHello,
        on_record: Callable[[Record], Awaitable[None]] | None = None,
        next_counter: Callable[[Hello], int] = lambda _hello: 1,
    ) -> None:
        self.lock = lock
        self.connected = False
        self.delivered: list[tuple[str, bytes]] = []
        self.answers: dict[str, str] = {}
        self.errors: list[MooringError] = []
        self.pulled: list[int] = []
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.changed = asyncio.Event()
        self.news = asyncio.Event()
        self._dropped = False
        self._on_hello, self._on_record, self._next_counter = on_hello, on_record, next_counter

    async def prove(self) -> bytes:
        return self.lock.lock_id

    async def run(self) -> None:
        while True:
            await self.reachable.wait()
            try:
                await self._connection()
            except MooringError as error:
                self.errors.append(error)
                self.changed.set()
            self.connected = False
            await asyncio.sleep(0.02)

    async def _connection(self) -> None:
        self.connected = True
        hello = self.lock.hello()
        await self._on_hello(hello)
        at = max(self._next_counter(hello), hello.receipted_through + 1)
        self.pulled.append(at)
        self._dropped = False
        while self.reachable.is_set() and not self._dropped:
            while at <= len(self.lock.records):
                assert self._on_record is not None, "a lock with records needs a store"
                await self._on_record(self.lock.records[at - 1])
                at += 1
            self.changed.set()
            self.news.clear()
            await self.news.wait()
            await self._on_hello(self.lock.hello())

    def lose(self) -> None:
        """Make the lock unreachable until `reachable` is set."""
        self.reachable.clear()
        self.news.set()

    def reconnect(self) -> None:
        self._dropped = True
        self.news.set()

    async def deliver(self, signed: bytes) -> str | None:
        if not self.connected:
            raise TransportError("lock.not_connected", "")
        kind = statement.parse(signed).kind
        self.delivered.append((kind, signed))
        if kind == "receipt" and kind not in self.answers:
            self.lock.receipted_through = opened(signed).through
            self.news.set()
        self.changed.set()
        return self.answers.get(kind)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()


class Building:
    """An edge agent with its state directory. `links` holds the agent's links by address."""

    def __init__(
        self, folder: Path, port: int, *locks: SigningLock, key: str = PROVINCE_PUBLIC.hex(), listed: bool = True
    ) -> None:
        self.locks = {f"L{number}": lock for number, lock in enumerate(locks)}
        self.links: dict[str, WiredLink] = {}
        self.settings = config.load(
            None,
            {
                "MOORING_EDGE_STATE_DIR": str(folder),
                "MOORING_EDGE_MQTT_PORT": str(port),
                "MOORING_EDGE_PROVINCE_PUBLIC_KEY": key,
                "MOORING_EDGE_UPLINK_RECEIPT_TIMEOUT_SECONDS": "1",
            },
        )
        self.stop = asyncio.Event()
        self._agent: Agent | None = None
        if listed:
            known = Credentials(folder, PROVINCE_PUBLIC)
            known.take(passes(known.public, 50, locks=[lock.lock_id for lock in locks]))

    @property
    def agent(self) -> Agent:
        """The agent that is running, or the last agent that ran."""
        assert self._agent is not None, "no agent has run yet"
        return self._agent

    async def _search(self, _seconds: float) -> list[Heard]:
        return [Heard(address, lock.lock_id[:6], -60) for address, lock in self.locks.items()]

    def _make_link(self, address: str, **parts: Unpack[LinkParts]) -> WiredLink:
        assert parts["faults"].counts == {} and parts["credit"] > 0 and parts["rotation"].places > 0
        assert parts["credentials"].locks
        wired = WiredLink(self.locks[address], parts["on_hello"], parts["on_record"], parts["next_counter"])
        self.links[address] = wired
        return wired

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["WiredLink"]:
        async with self.running() as task:
            await eventually(lambda: task.done() or len(self.links) == len(self.locks))
            yield self.links["L0"]
        self.links.clear()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Future[None]"]:
        self.stop.clear()
        with Agent.open(
            self.settings,
            Notifier({}),
            make_link=self._make_link,
            search=self._search,
            reconnect=Backoff(first=0.2, limit=120.0),
        ) as agent:
            self._agent = agent
            task = asyncio.ensure_future(agent.run(self.stop))
            try:
                yield task
            finally:
                self.stop.set()
                await task

    def counts(self) -> inventory.Counts:
        with contextlib.closing(database.open_for_reading(self.settings.outbox_path)) as connection:
            return inventory.counts(connection)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds. This function polls, because conditions about files on disk have no event to wait
    for.
    """
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def passes(
    public: bytes, issued_at: int, private: bytes = PROVINCE_PRIVATE, locks: Sequence[bytes] = (bytes(16),)
) -> bytes:
    """Return the province's message with passes for `locks`. The passes are for the edge whose key is `public`."""
    portions = [list(locks[at : at + MAX_LOCKS]) for at in range(0, len(locks), MAX_LOCKS)]
    until = max(issued_at, 1_900_000_000)
    bodies = [EdgePass(issued_at, "edge", public, until, each, len(portions)).body() for each in portions]
    return uplink.Passes([statement.sign(crypto, private, KIND, body) for body in bodies]).encode()
