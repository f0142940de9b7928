"""How much memory an agent takes with 200 locks in reach. The radio is simulated; all else is the real agent, in a
process of its own."""

import subprocess
import sys

import pytest

LOCKS = 200
_PROGRAM = f"""
import asyncio, tempfile
from pathlib import Path
from edge_agent import __main__, lock_link, bluez, discovery
import bleak
from tests.support.building import Building
from tests.support.signing_lock import SigningLock

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])

async def story():
    with tempfile.TemporaryDirectory() as folder:
        locks = [SigningLock() for _ in range({LOCKS})]
        for lock in locks:
            lock.journal(10)
        before = resident()
        building = Building(Path(folder), 1, *locks)
        async with building.open():
            for link in building.links.values():
                await link.until(lambda: link.connected and link.pulled)
            print(before, resident())

asyncio.run(story())
"""


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a process here")
def test_the_memory_of_an_agent_with_many_locks() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    before, after = (int(number) / 1000 for number in done.stdout.split()[-2:])
    print(
        f"\nan agent with {LOCKS} locks in reach: {after:.0f} MB; before the agent began, the process had {before:.0f}"
    )
    assert after < 60
