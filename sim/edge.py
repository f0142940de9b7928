"""One edge agent of a site: the service that ships, in a separate process, with an adapter on the simulated air."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.rotation import CONNECTIONS, SIDE_PLACES
from sim.bell import Bell
from sim.board.interpreter import ROOT
from sim.broker import Broker


@dataclass
class Edge:
    """An edge agent for the locks at `addresses`.

    The agent's state is in the folder `folder / name`, and the agent's log is beside this folder. `hci` is the address
    at which the simulated air serves a Bluetooth adapter. `said` has each event of the log, oldest first: the time in
    monotonic seconds, and the facts. The `bell` is rung at each event.
    """

    name: str
    folder: Path
    addresses: Sequence[str]
    hci: str
    broker: Broker
    province_public: bytes
    bell: Bell = field(default_factory=Bell)
    process: asyncio.subprocess.Process | None = None
    said: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    @property
    def state(self) -> Path:
        """The folder with the agent's outbox and its other stored data."""
        return self.folder / self.name

    @property
    def log(self) -> Path:
        """The agent's log file. Each start of the agent appends to the same file."""
        return self.folder / f"{self.name}.log"

    def serve(self, addresses: Sequence[str]) -> None:
        """Serve the locks at `addresses` from the next start on."""
        self.addresses = addresses

    async def start(self) -> None:
        """Start the agent's process."""
        config = self.folder / f"{self.name}.toml"
        config.write_text(
            f'name = "{self.name}"\nstate_dir = "{self.state}"\nprovince_public_key = "{self.province_public.hex()}"\n'
            f'[mqtt]\nhosts = ["{self.broker.host}"]\nport = {self.broker.port}\n'
            "[uplink]\nbatch_ms = 50\nreceipt_timeout_seconds = 5\n"
            f"[locks]\naddresses = {json.dumps(list(self.addresses))}\n"
            # The simulated adapter holds all connections at once, so that a story does not wait for turns.
            f"connections = {max(CONNECTIONS, len(self.addresses) + SIDE_PLACES)}\n[log]\njson = true\n"
        )
        command = (sys.executable, "-m", "sim.radio.edge_on_air", "--hci", self.hci, "--until-input-ends")
        self.process = await asyncio.create_subprocess_exec(
            *(*command, "--", "run", "--config", str(config)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,  # the agent ends with this process, however this process ends
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        self._reading = asyncio.create_task(self._read(self.process.stdout))

    async def _read(self, output: asyncio.StreamReader) -> None:
        """Until the agent ends, read everything that it prints, and keep the text in the log."""
        skew = _skew()
        with self.log.open("ab") as log:
            async for raw in output:
                log.write(raw)
                log.flush()
                if raw.startswith(b"{") and raw.endswith(b"\n"):  # a line is cut off if the power fails
                    facts = json.loads(raw)
                    self.said.append((facts["time"] - skew, facts))
                    self.bell.ring()

    async def stop(self) -> None:
        """Kill the agent's process, as when its power fails."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        if self._reading is not None:
            await self._reading

    def events(self, event: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the items of `said` that have this event."""
        return [line for line in self.said if line[1]["event"] == event]


def _skew() -> float:
    """Return the number of seconds by which this machine's `time.time()` is ahead of `time.monotonic()`."""
    looks = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(8)]
    # An interruption makes a reading of the clocks longer and less exact. So use the shortest reading.
    before, now, after = min(looks, key=lambda look: look[2] - look[0])
    return now - (before + after) / 2
