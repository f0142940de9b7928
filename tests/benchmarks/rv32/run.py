"""Runs the firmware on the virtual board, with a whole site around it, and counts instructions and heap."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.command_line_cpython import error_line
from protocol.errors import MooringError
from sim import issuer
from sim.board.interpreter import STAND_INS, Interpreter, find
from sim.door import Door
from sim.lock_process import BOOT_SCRIPT
from sim.phone.stay_key import StayKeys
from sim.site import Site, build
from sim.tap import Tap
from sim.visitors import Visitor
from tests.benchmarks.rv32.table import HEAPS, KB, THRESHOLDS, curve
from tools.software import ROOT

Counts = dict[str, int]
Say = Callable[[str], None]

HEAP = "MOORING_RV32_HEAP"
"""The variable that says how many bytes of heap the next boot has."""
THRESHOLD = "MOORING_RV32_THRESHOLD"
"""The variable that says after how many bytes the collector runs during a visit of the next boot. Without it, the
firmware's own threshold is used."""
_STEP = 2 * KB
_CHECK_IN = 150 * KB
"""Size of the heap for the first check-in. For all else, the heap has the size that the caller names."""
_UNKNOWN = "first, larger heap"
"""Key of the count of a first check-in that is no row of the table. It makes the issuer known after a boot."""
_PATIENT = 12
"""Frame waiting time of the phone, as an index of ISO/IEC 14443-4, clause 5.2: 1.2 s. A phone of the simulator computes
on a busy computer, and with the usual time it would ask for more time now and then."""
_IDLE_SECONDS = 8
"""A lock is idle when its console is silent for this many seconds of its clock. For four seconds, a light answers a
guest. After that, the lock makes new keys and nonces, in three ticks of a second."""


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

    Raises a MooringError if the lock refuses one of these guests, or ends.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with build(Path(folder), 5, machine, on_step=lambda text: say("  " + str(text))) as site:
            (door,) = site.doors
            door.reader.traits = replace(door.reader.traits, fwi=_PATIENT)
            guest, second, third = (site.visitor(issuer.RESIDENT_ID) for _ in range(3))
            guest.phone.stay_keys = StayKeys()
            booking = await door.bookings.book(guest, second, third)
            for heap, visits in (
                (_CHECK_IN, (("first", guest),)),
                (machine.bytes, ((_UNKNOWN, second), ("known issuer", third), ("same ID", third), ("stay key", guest))),
            ):
                say(f"a lock with {heap // KB} KB of heap")
                await door.lock.kill()
                await door.boot({HEAP: str(heap)})
                for name, who in visits:
                    await _rest(door)
                    _to_the_strike(counts, name, await door.tap(who), say)
            await _rest(door)
            pin = site.platform.pin(booking, guest.booking_name())
            _to_the_strike(counts, "PIN", await door.enter(pin + "#"), say)
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
    """Return when the lock is idle. It then has done everything that it does between two guests.

    The console's lines are in the order of the lock's work. So it does not matter how late this process reads them.
    """
    await door.drain()
    lock, at, quiet = door.lock, len(door.lock.console), 0
    while quiet < _IDLE_SECONDS:
        second = await lock.wait_for("rv32.second", since=at)
        end = lock.console.index(second, at)
        quiet, at = quiet + 1 if end == at else 0, end + 1


def _to_the_strike(counts: Counts, name: str, tap: Tap, say: Say) -> None:
    """Count instructions and garbage collections from the moment that the lock noticed the guest until the lock opened
    the strike. Say how many of them each part of the tap took.
    """
    say(f"  {tap}")
    own = str(pins.STRIKE)
    lines = [line for line in tap.console if line.event[:5] != "rv32." or line.facts.get("pin") == own]
    begin = next(at for at, line in enumerate(lines) if line.event == "tap.start")
    end = next((at for at, line in enumerate(lines) if line.event == "rv32.raised"), None)
    if end is None:
        raise MooringError("rv32.shut", f"the lock did not let the guest in: {tap.refusal}")
    for before, line in pairwise(lines[begin : end + 1]):
        cost, collections = (int(line.facts[fact]) - int(before.facts[fact]) for fact in ("insn", "gc"))
        say(f"    until {line.event}: {cost / 1e6:.2f} M, {collections} collections")
    counts[name], counts[name + ", collections"] = (
        int(lines[end].facts[fact]) - int(lines[begin].facts[fact]) for fact in ("insn", "gc")
    )


async def collector(machine: Machine, counts: Counts, say: Say) -> None:
    """Count first check-ins with different heaps and thresholds of the collector."""
    with tempfile.TemporaryDirectory() as folder:
        async with build(Path(folder), 5, machine) as site:
            (door,) = site.doors
            door.reader.traits = replace(door.reader.traits, fwi=_PATIENT)
            # One stay for all, so that the heap holds the same in each row.
            visitors = [site.visitor(issuer.RESIDENT_ID) for _ in range(len(HEAPS) * len(THRESHOLDS))]
            await door.bookings.book(*visitors)
            for size in HEAPS:
                for threshold in THRESHOLDS:
                    visitor = visitors.pop()
                    await door.lock.kill()
                    await door.boot({HEAP: str(size * KB), THRESHOLD: str(threshold * KB if threshold else -1)})
                    await _rest(door)
                    try:
                        _to_the_strike(counts, curve(size, threshold), await door.tap(visitor), lambda _: None)
                    except MooringError as error:
                        say(f"  {curve(size, threshold)}: {error_line(error.code, error.message)}")
                        continue
                    say(f"  {curve(size, threshold)}: {counts[curve(size, threshold)] / 1e6:.1f} M")


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
