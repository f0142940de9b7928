"""An outbox with its uplink, for tests of the uplink. Receipts are handled as in the agent. Commands are collected."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from edge_agent import config
from edge_agent.backoff import Backoff
from edge_agent.faults import Faults
from edge_agent.outbox import Key, Outbox
from edge_agent.refusals import obey
from edge_agent.uplink import Uplink
from protocol import VERSION, statement, uplink
from protocol import crypto_cpython as crypto
from protocol.errors import StorageError
from protocol.refusal import Refusal
from tests.support.signing_lock import PROVINCE_PUBLIC, SigningLock, applied, opened


class UplinkEdge:
    """An outbox with its uplink. Receipts are handled as in the agent."""

    def __init__(self, folder: Path, *ports: int, **batching: int) -> None:
        settings = config.load(
            None,
            {
                "MOORING_EDGE_STATE_DIR": str(folder),
                "MOORING_EDGE_MQTT_HOSTS": ",".join(f"127.0.0.1:{port}" for port in ports),
                "MOORING_EDGE_PROVINCE_PUBLIC_KEY": PROVINCE_PUBLIC.hex(),
            },
        )
        self.settings = replace(settings, uplink=replace(settings.uplink, **batching))
        self.outbox = Outbox(self.settings.outbox_path)
        self.emptied, self.online, self.offline = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.commands: list[uplink.Command] = []
        self.commanded = asyncio.Event()
        self.fail_receipts = 0
        self.passes: list[bytes] = []
        self.faults = Faults()
        self.uplink = Uplink(
            self.settings,
            self.outbox,
            VERSION,
            on_receipts=self._on_receipts,
            on_command=self._on_command,
            on_pass=self.passes.append,
            on_online=self._on_online,
            on_offline=self._on_offline,
            faults=self.faults,
            reconnect=Backoff(first=0.2, limit=120.0),
        )

    def _on_receipts(self, message: uplink.Receipts) -> list[Key]:
        if self.fail_receipts:
            self.fail_receipts -= 1
            raise StorageError("outbox.io", "made to fail")
        gone: list[Key] = []
        for signed in message.statements:
            if statement.parse(signed).kind == "receipt":
                gone += applied(self.outbox, opened(signed), signed)
            else:
                refusal = Refusal.parse(statement.open(crypto, signed, "refusal", PROVINCE_PUBLIC))
                gone += obey(self.outbox, refusal)
        if not self.outbox.batch(0, 1, 1):
            self.emptied.set()
        return gone

    def _on_online(self) -> None:
        self.offline.clear()
        self.online.set()

    def _on_offline(self) -> None:
        self.online.clear()
        self.offline.set()

    def _on_command(self, message: uplink.Command) -> None:
        self.commands.append(message)
        self.commanded.set()

    def store(self, lock: SigningLock, count: int) -> None:
        self.emptied.clear()
        for item in lock.journal(count):
            self.outbox.put(item)
        self.uplink.wake()

    async def until_empty(self) -> None:
        await self.emptied.wait()


@contextlib.asynccontextmanager
async def running(folder: Path, *ports: int, **batching: int) -> AsyncIterator[UplinkEdge]:
    edge = UplinkEdge(folder, *ports, **batching)
    task = asyncio.ensure_future(edge.uplink.run())
    try:
        yield edge
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        edge.outbox.close()
