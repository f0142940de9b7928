"""An edge's link to one lock, and a store that takes the records and knows which record comes next."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.backoff import Backoff
from edge_agent.credentials import KEY_FILE, Credentials
from edge_agent.faults import Faults
from edge_agent.lock_link import LockLink
from edge_agent.rotation import Rotation
from protocol import link, record
from protocol.errors import MooringError, StorageError
from tests.support.link_keys import EDGE_PRIVATE
from tests.support.radio_world import ADDRESS
from tests.support.rogue_lock import KEYS, LOCK_ID

HASTY = Backoff(first=0.02, limit=0.1)


class LinkStore:
    """Replaces the outbox. The store refuses the first `failures` records. Records wait until `hold` is set."""

    def __init__(self) -> None:
        self.counters: list[int] = []
        self.hellos: list[link.Hello] = []
        self.changed = asyncio.Condition()
        self.failures = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def on_hello(self, hello: link.Hello) -> None:
        async with self.changed:
            self.hellos.append(hello)
            self.changed.notify_all()

    async def on_record(self, item: record.Record) -> None:
        await self.hold.wait()
        if self.failures:
            self.failures -= 1
            raise StorageError("outbox.full", "no room")
        assert item.lock_id == LOCK_ID
        async with self.changed:
            self.counters.append(item.counter)
            self.changed.notify_all()

    def next_counter(self, _hello: link.Hello) -> int:
        return max(self.counters, default=0) + 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(condition)


def without_pass() -> Credentials:
    """Return credentials that have the edge's key of the link tests, but no pass."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, KEY_FILE).write_bytes(EDGE_PRIVATE)
        return Credentials(Path(folder), KEYS.province[1])


def credentials(edge_pass: bytes | None = None) -> Credentials:
    """Return credentials that have the edge's key of the link tests, and a pass."""
    known = without_pass()
    known.take(edge_pass or KEYS.passes())
    return known


@asynccontextmanager
async def linked(
    store: LinkStore, credit: int = 8, address: str = ADDRESS, known: Credentials | None = None
) -> AsyncIterator[LockLink]:
    """Yield a link that runs until the block ends."""
    lock = LockLink(
        address,
        on_hello=store.on_hello,
        on_record=store.on_record,
        next_counter=store.next_counter,
        credentials=known or credentials(),
        credit=credit,
        rotation=Rotation(),
        backoff=HASTY,
        faults=Faults(),
    )
    running = asyncio.create_task(lock.run())
    try:
        yield lock
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def error_of(lock: LockLink) -> MooringError:
    """Wait until a connection of the link has ended, and return the error that ended it."""
    while lock.last_error is None:  # noqa: ASYNC110 -- the link tells its state, and no more
        await asyncio.sleep(0.01)
    return lock.last_error


async def error_code(lock: LockLink) -> str:
    """Return the code of the error that `error_of` returns."""
    return (await error_of(lock)).code


def losses(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Return the facts of each `link.lost` in the log."""
    return [entry.__dict__["facts"] for entry in caplog.records if entry.getMessage() == "link.lost"]
