"""One edge agent of a site: the service that ships, in a process of its own, with its adapter on the simulated air."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.board.interpreter import ROOT
from sim.broker import Broker


@dataclass
class Edge:
    """An edge agent for the locks at `addresses`.

    Its state is in `folder / name`, its log beside that. `hci` is where the air serves an adapter.
    """

    name: str
    folder: Path
    addresses: Sequence[str]
    hci: str
    broker: Broker
    province_public: bytes
    process: asyncio.subprocess.Process | None = None

    @property
    def state(self) -> Path:
        """The folder that holds its outbox and whatever else it keeps."""
        return self.folder / self.name

    @property
    def log(self) -> Path:
        """The file it writes its log to, over all its starts."""
        return self.folder / f"{self.name}.log"

    async def start(self) -> None:
        """Give it power."""
        config = self.folder / f"{self.name}.toml"
        config.write_text(
            f'name = "{self.name}"\nstate_dir = "{self.state}"\nprovince_public_key = "{self.province_public.hex()}"\n'
            f'[mqtt]\nhost = "{self.broker.host}"\nport = {self.broker.port}\n'
            "[uplink]\nbatch_ms = 50\nreceipt_timeout_seconds = 5\n"
            f"[locks]\naddresses = {json.dumps(list(self.addresses))}\n[log]\njson = true\n"
        )
        command = (sys.executable, "-m", "sim.radio.edge_on_air", "--hci", self.hci, "--", "run", "--config")
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(*command, str(config)),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    async def stop(self) -> None:
        """Take its power away."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def events(self, event: str) -> list[tuple[float, dict[str, Any]]]:
        """Lines of its log with this event: (seconds, monotonic; facts), oldest first."""
        skew = _skew()
        parsed = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [(line["time"] - skew, line) for line in parsed if line["event"] == event]


def _skew() -> float:
    """How far this machine's clock of the day is ahead of `time.monotonic()`, in seconds."""
    looks = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(8)]
    # Something may have come between the two readings of a look. The quickest look is the truest.
    before, now, after = min(looks, key=lambda look: look[2] - look[0])
    return now - (before + after) / 2
