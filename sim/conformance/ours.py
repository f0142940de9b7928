"""This repository's own province, made ready to be judged: registered, started in a process of its own, and killed."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.errors import MooringError, TransportError
from sim.board.interpreter import ROOT
from sim.broker import Broker
from sim.conformance.kit import Kit
from sim.conformance.province import Restart
from sim.hang import HANG_SECONDS
from sim.province import Province

_READY: Final = b"province key "


def register(province: Province, kit: Kit) -> None:
    """Register a kit: its locks, its edge, and the grants that its platform hands in."""
    told = kit.to_register()
    for lock in told["locks"]:
        province.register_lock(
            bytes.fromhex(lock["identity"]),
            listing=lock["listing"],
            room=lock["room"],
            platform_key=bytes.fromhex(lock["platform_key"]),
            reader_chain=[bytes.fromhex(each) for each in lock["reader_chain"]],
            profile=lock["profile"],
        )
    province.admit_edge(told["edge"]["name"], [bytes.fromhex(each) for each in told["edge"]["locks"]])
    for grant in told["grants"]:
        # The kit also hands in a grant of another platform, which a province refuses.
        with contextlib.suppress(MooringError):
            province.queue_grant(bytes.fromhex(grant["lock_id"]), bytes.fromhex(grant["grant"]))


@dataclass(frozen=True)
class Ours:
    """A broker and our province, with a registered kit."""

    kit: Kit
    public: bytes
    broker: Broker
    restart: Restart


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Ours]:
    """Run a broker and our province in processes of their own, with a new kit."""
    kit = Kit.new()
    with tempfile.TemporaryDirectory(prefix="mooring-conformance-") as folder, Broker() as broker:
        province = Province(Path(folder), broker.host, broker.port)
        register(province, kit)
        public = province.public
        province.stop()
        command = ("-m", "sim.province", "run", "--data", folder, "--host", broker.host, "--port", str(broker.port))
        process = await _started(command)

        async def restart() -> None:
            nonlocal process
            process.kill()
            await process.wait()
            process = await _started(command)

        try:
            yield Ours(kit, public, broker, restart)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _started(command: tuple[str, ...]) -> asyncio.subprocess.Process:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stdout=pipe, stderr=nothing)
    assert process.stdout is not None
    async with asyncio.timeout(HANG_SECONDS):
        if not (await process.stdout.readline()).startswith(_READY):
            process.kill()
            raise TransportError("conformance.ours", "our province does not start. Run `make test`")
    return process
