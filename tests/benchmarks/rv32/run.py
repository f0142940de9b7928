"""Runs the firmware on the virtual board, with a whole site around it, and counts instructions and heap."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.errors import MooringError
from sim import issuer
from sim.board.interpreter import STAND_INS, Interpreter, find
from sim.door import Door
from sim.lock_process import BOOT_SCRIPT
from sim.phone.stay_key import StayKeys
from sim.site import Site, build
from sim.tap import Tap
from sim.visitors import Visitor
from tests.benchmarks.rv32.table import KB
from tools.software import ROOT

Counts = dict[str, int]
Say = Callable[[str], None]

HEAP = "MOORING_RV32_HEAP"
"""The variable that says how many bytes of heap the next boot has."""
_STEP = 2 * KB
_BETWEEN_GUESTS = 8
"""Seconds of the machine's clock from the last receipt to the next guest. For four seconds, a light answers the guest
before. After that, the lock makes new session keys and nonces, in two ticks of a second."""


@dataclass(frozen=True)
class Machine(Interpreter):
    """The RISC-V machine in qemu. For the simulator, this machine is the interpreter that runs a lock. `program` is the
    ELF file.

    The lock only boots on this machine. It is enrolled on the unix port. `content` is the file whose content is in the
    machine's memory. `bytes` is the size of the machine's heap, unless HEAP in the environment of a boot has another
    size.
    """

    content: str = ""
    bytes: int = 0

    def board(self, mode: str) -> list[str]:
        """Return the command line of the virtual board. `mode` is "lock" or "crypto"."""
        return [sys.executable, "-m", "tests.benchmarks.rv32.board", self.program, self.content, mode]

    def command(self, script: Path, *arguments: str) -> list[str]:
        """Return the command line that runs `script`. The boot script runs on the virtual board, and every other script
        runs on the unix port."""
        return self.board("lock") if script == BOOT_SCRIPT else find().command(script, *arguments)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment for the virtual board and for the unix port."""
        path = os.pathsep.join((str(ROOT), str(STAND_INS)))
        return {**find().environment(), "PYTHONPATH": path, HEAP: str(self.bytes), **(extra or {})}


async def crypto(machine: Machine, counts: Counts, say: Say) -> None:
    """Count single operations of the cryptography while nothing else runs. The garbage collector runs only when the
    heap is full."""
    say(f"single operations, {machine.bytes // KB} KB of heap")
    board = await asyncio.create_subprocess_exec(
        *machine.board("crypto"), env=machine.environment(), stdout=asyncio.subprocess.PIPE
    )
    assert board.stdout is not None
    async for raw in board.stdout:
        facts = dict(word.split("=", 1) for word in raw.decode().split() if "=" in word)
        if b" rv32.measured " in raw:
            name = facts["name"]
            counts[name], counts[name + ", objects"] = int(facts["each"]), int(facts["objects"])
            say(f"  {name}: {counts[name] / 1e6:.2f} M, {facts['objects']} objects on the heap")
    await board.wait()


async def lock(machine: Machine, counts: Counts, say: Say) -> None:
    """Let guests in, in every way, and count each tap. Then count a verification while the lock runs, and a boot.

    Raises a MooringError if the lock refuses one of these guests.
    """
    say(f"a lock with {machine.bytes // KB} KB of heap")
    with tempfile.TemporaryDirectory() as folder:
        async with build(Path(folder), 5, machine, on_step=lambda text: say("  " + str(text))) as site:
            (door,) = site.doors
            guest, companion = (site.visitor(issuer.RESIDENT_ID) for _ in range(2))
            guest.phone.stay_keys = StayKeys()
            booking = await door.bookings.book(guest, companion)
            for name, who in (
                ("first", guest),
                ("known issuer", companion),
                ("same ID", companion),
                ("stay key", guest),
            ):
                await _rest(door)
                counts[name] = _to_the_strike(await door.tap(who), say)
            await _rest(door)
            pin = site.platform.pin(booking, guest.booking_name())
            counts["PIN"] = _to_the_strike(await door.enter(pin + "#"), say)
            measured = door.lock.wait_for("rv32.measured", since=len(door.lock.console))
            door.bus.set_input("crypto", 1)
            counts["beside"] = int((await measured).facts["each"])
            # Only now does the lock have everything that it reads and verifies at each boot.
            await door.lock.kill()
            before = len(door.lock.console)
            await door.boot()
            lines = {line.event: line.facts for line in door.lock.console[before:]}
            counts["import"], counts["boot"] = (int(lines[event]["insn"]) for event in ("rv32.imported", "lock.ready"))
            counts["kept by the import"] = int(lines["rv32.imported"]["kept"])


async def _rest(door: Door) -> None:
    """Return when the lock is idle. It then has done everything that it does between two guests."""
    await door.drain()
    for _ in range(_BETWEEN_GUESTS):
        await door.lock.wait_for("rv32.second", since=len(door.lock.console))


def _to_the_strike(tap: Tap, say: Say) -> int:
    """Return the number of instructions from the moment that the lock noticed the guest until the lock opened the
    strike.
    """
    say(f"  {tap}")
    moments = {line.event: int(line.facts["insn"]) for line in tap.console if line.event in ("tap.start", "rv32.raised")
               and line.facts.get("pin", str(pins.STRIKE)) == str(pins.STRIKE)}  # fmt: skip
    if "rv32.raised" not in moments:
        raise MooringError("rv32.shut", f"the lock did not let the guest in: {tap.refusal}")
    return moments["rv32.raised"] - moments["tap.start"]


async def heap(machine: Machine, counts: Counts, say: Say) -> None:
    """Find the smallest heap that is enough. With this heap, a lock boots, talks to its edge agent and lets a new guest
    in. The result is at most 2 KB too large."""
    with tempfile.TemporaryDirectory() as folder:
        async with build(Path(folder), 7, machine) as site:
            fails, passes = 96 * KB, machine.bytes
            while passes - fails > _STEP:
                size = (passes + fails) // 2 // KB * KB
                good = await _fits(site, site.doors[0], size)
                say(f"  {size // KB} KB of heap: {'enough' if good else 'too little'}")
                fails, passes = (fails, size) if good else (size, passes)
            counts["visit"] = passes


async def _fits(site: Site, door: Door, size: int) -> bool:
    """Return whether `size` bytes of heap are enough for a lock. They are enough if the lock boots, fetches the time,
    lets a new guest in, and never runs out of memory."""
    await door.lock.kill()
    before = len(door.lock.console)
    visit = asyncio.create_task(_visit(site, door, size))
    while not visit.done():
        await asyncio.wait({visit}, timeout=0.2)
        wants = (value for line in door.lock.console[before:] for value in line.facts.values())
        if any(value == "MemoryError" or value.endswith(".memory") for value in wants):
            visit.cancel()
    (opened,) = await asyncio.gather(visit, return_exceptions=True)
    return opened is True


async def _visit(site: Site, door: Door, size: int) -> bool:
    await door.boot({HEAP: str(size)})
    visitor: Visitor = site.visitor(issuer.RESIDENT_ID)
    await door.bookings.book(visitor)
    # A phone that leaves because this machine is slow says nothing about the heap. So the guest tries again.
    return (await door.tap(visitor)).opened or (await door.tap(visitor)).opened
