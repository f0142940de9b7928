"""A province without a broker, as a wire for the judge. What the province does with a message is a test's to change."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from protocol import record, uplink
from protocol.errors import FormatError
from sim.conformance.courier import Arrival
from sim.conformance.kit import EDGE, Kit
from sim.conformance.ours import register
from sim.province import Province

Answers = list[tuple[str, bytes]]
"""What a province sends for one message: leaf and payload of each."""


class Registered:
    """Our province with a registered kit. `fresh` brings both back to their first day."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "kit.json"
        Kit.new().save(self._file)
        self.province = Province(folder, "127.0.0.1", 1)
        self.province.store._db.execute("PRAGMA synchronous = OFF")
        register(self.province, Kit.load(self._file))
        self._first_day = sqlite3.connect(":memory:")
        self.province.store._db.backup(self._first_day)

    def fresh(self) -> tuple[Province, Kit]:
        self._first_day.backup(self.province.store._db)
        return self.province, Kit.load(self._file)

    def close(self) -> None:
        self._first_day.close()
        self.province.stop()


class RegistryWire:
    """The province of this repository, on its registry. `twist(wire, payload)` stands before it, and may lie.

    The attributes from `qos` on are for twists: they remember there what they have seen.
    """

    def __init__(self, province: Province, kit: Kit, twist: "Callable[[RegistryWire, bytes], Answers] | None") -> None:
        self.arrived: asyncio.Queue[Arrival] = asyncio.Queue()
        self.kit, self.province = kit, province
        self._twist = twist
        self.qos = 1
        self.put_off: Answers = []
        self.memory: dict[bytes, dict[int, bytes]] = {}
        self.deliveries: Counter[bytes] = Counter()
        self.batches: set[tuple[bytes, ...]] = set()
        self.dead = False

    def honest(self, payload: bytes) -> Answers:
        """Return what the registry says."""
        return [(leaf, said) for _, leaf, said in self.province.registry.handle(EDGE, payload)]

    def honest_of(self, payload: bytes) -> Answers:
        """As `honest`, in the form of a twist."""
        return self.honest(payload)

    async def send(self, payload: bytes) -> None:
        self._count(payload)
        answers = self.honest(payload) if self._twist is None else self._twist(self, payload)
        for leaf, said in answers:
            self.arrived.put_nowait(Arrival(leaf, said, self.qos))

    def _count(self, payload: bytes) -> None:
        try:
            message = uplink.parse_up(payload)
            if isinstance(message, uplink.Batch):
                self.deliveries.update(record.parse(data).lock_id for data in message.records)
        except FormatError:
            pass

    async def restart(self) -> None:
        """Lose everything that is only in the memory of a twist. What the registry commits is on disk."""
        self.memory.clear()
