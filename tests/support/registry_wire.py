"""A province without a broker, as a wire for the judge. What the province does with a message is a test's to change."""

import asyncio
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


class RegistryWire:
    """The province of this repository, on its registry. `twist(wire, payload)` stands before it, and may lie.

    The attributes from `qos` on are for twists: they remember there what they have seen.
    """

    def __init__(self, folder: Path, kit: Kit, twist: "Callable[[RegistryWire, bytes], Answers] | None" = None) -> None:
        self.arrived: asyncio.Queue[Arrival] = asyncio.Queue()
        self.kit = kit
        self._folder, self._twist = folder, twist
        self.qos = 1
        self.put_off: Answers = []
        self.memory: dict[bytes, dict[int, bytes]] = {}
        self.deliveries: Counter[bytes] = Counter()
        self.batches: set[tuple[bytes, ...]] = set()
        self.dead = False
        self.province = self._open()
        register(self.province, kit)

    def _open(self) -> Province:
        province = Province(self._folder, "127.0.0.1", 1)
        province.store._db.execute("PRAGMA synchronous = OFF")
        return province

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
        """Open the province's folder again, as after a kill. The memory of a twist is lost."""
        self.province.stop()
        self.memory.clear()
        self.province = self._open()
