"""Locks that have turns of an agent's radio, without a radio and in virtual time."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from edge_agent.rotation import Member, Rotation
from protocol import crypto_cpython as crypto
from protocol import link
from protocol.link_initiator import HINT_SECONDS, hint
from tests.support import virtual_time


class House:
    """Locks that have turns. `length(address)` says how long a visit goes on after it is asked to leave. Locks in
    `dead` do not answer, which takes 10 s. `visits` lists (start, asked to leave, address). Each session has a hint key
    of its own, `keys` has the latest key of each lock, and `sessions` has its time.
    """

    def __init__(self, connections: int, length: Callable[[str], float] = lambda _address: 3.0) -> None:
        self.rotation = Rotation(connections)
        self.dead: set[str] = set()
        self.length = length
        self.visits: list[tuple[float, float, str]] = []
        self.tries: list[tuple[float, str]] = []
        self.members: dict[str, Member] = {}
        self.inside: Counter[str] = Counter()
        self.most_inside: Counter[str] = Counter()
        self.news = asyncio.Event()
        self.keys: dict[str, bytes] = {}
        self.sessions: dict[str, float] = {}

    async def lock(self, address: str) -> None:
        time = asyncio.get_running_loop().time
        with self.rotation.joined(address) as member:
            self.members[address] = member
            while True:
                turn = await self.rotation.turn(member)
                started, lane = time(), turn.lane
                self.tries.append((started, address))
                self.inside[lane] += 1
                self.most_inside |= self.inside
                if address in self.dead:
                    await asyncio.sleep(10)
                    self.inside[lane] -= 1
                    self.rotation.over(member, False, min(60.0, 2.0**member.failures))
                    continue
                self.keys[address], self.sessions[address] = self._key(address), time()
                self.rotation.answered(member, self.keys[address])
                self.news.set()
                self.inside[lane] -= 1
                self.inside[turn.lane] += 1
                self.most_inside |= self.inside
                await turn.leave.wait()
                asked = time()
                await asyncio.sleep(self.length(address))
                self.visits.append((started, asked, address))
                self.inside[turn.lane] -= 1
                self.rotation.over(member, True, None)

    def advertised(self, address: str, news: bool) -> tuple[str, bytes]:
        """Return the address, and what the lock there advertises now."""
        number = int((asyncio.get_running_loop().time() - self.sessions[address]) // HINT_SECONDS) + 1
        return address, bytes(link.PREFIX_BYTES) + hint(crypto, self.keys[address], number, news)

    def _key(self, address: str) -> bytes:
        """Return the hint key of the next session. Each run has the same keys."""
        return crypto.digest("SHA-256", f"{address} {len(self.tries)}".encode())

    async def until_answered(self, address: str) -> None:
        """Wait until this silent lock has answered."""
        while self.rotation.is_silent(address):
            self.news.clear()
            await self.news.wait()

    def starts(self, address: str) -> list[float]:
        return [start for start, _, visited in self.visits if visited == address]

    def waits(self, after: float = 0.0) -> list[float]:
        """Return, for each two visits in a row, the time from the request to leave until the next visit."""
        waits = []
        for address in self.members:
            visits = sorted(visit for visit in self.visits if visit[2] == address and visit[0] >= after)
            waits += [later[0] - earlier[1] for earlier, later in itertools.pairwise(visits)]
        return waits


@contextlib.asynccontextmanager
async def open_house(house: House, *addresses: str) -> Any:
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(house.lock(address)) for address in addresses]
        yield house
        for task in work:
            task.cancel()


def names(count: int) -> list[str]:
    return [f"L{number:03}" for number in range(count)]


def told(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    virtual_time.run(story())
