"""The strike has no current after a reset. An opening is a short pulse, which ends even if the event loop hangs.

The tests run on the real interpreter, and the host watches the pin.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.board.bus import BoardBus
from tests.support.board_process import board

PULSE = "from firmware.hardware import strike\nstrike.PULSE_MS, strike.LOOK_MS = 300, 20\n"
"""Code that makes the pulse shorter, so that the test is short."""


@asynccontextmanager
async def running(folder: Path, source: str, runtime: str = "micropython") -> AsyncIterator[BoardBus]:
    """Run `source` on a board. Yield the bus on which the host sees the board's pins."""
    async with BoardBus().listening() as bus, board(folder, PULSE + source, runtime, {"MOORING_BOARD": bus.address}):
        yield bus


def levels(bus: BoardBus) -> list[int]:
    return [event.facts["value"] for event in bus.changes(pins.STRIKE)]


CLOCK = "from firmware.hardware import ticks\nclock = [0]\nticks.now = lambda: clock[0]\n"
"""Code that replaces the firmware's ticks by ticks that the script controls."""
TO_ITS_END = """
from machine import Pin
door.open()
clock[0] = 299
door.look()
Pin("at its end", Pin.OUT, value=door._pin.value())
clock[0] = 300
while True:
    pass
"""
"""Code for one pulse. The script reads the pin a millisecond before the end of the pulse. Then the timer ends the
pulse.
"""
MADE = "from firmware.boards import esp32_c6_devkitc_1 as pins\ndoor = strike.Strike(pins.STRIKE)\n"
FITTED = {"fail-secure": MADE + "door.fit(False)\n", "fail-safe": MADE + "door.fit(True)\n"}
OPEN = {"fail-secure": 1, "fail-safe": 0}


@pytest.mark.parametrize("runtime", ["micropython", "cpython"])
@pytest.mark.parametrize("kind", FITTED)
def test_an_opening_is_a_pulse_and_its_end_needs_no_event_loop(tmp_path: Path, kind: str, runtime: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path, FITTED[kind] + CLOCK + TO_ITS_END, runtime) as bus:
            open_still = await bus.wait_for("at its end", OPEN[kind])
            await bus.wait_for(pins.STRIKE, 1 - OPEN[kind], since=bus.history.index(open_still))
            assert levels(bus) == [0, 1 - OPEN[kind], OPEN[kind], 1 - OPEN[kind]]

    asyncio.run(scenario())


def test_the_pulse_has_a_timer_that_the_line_of_the_reader_chip_does_not_take(tmp_path: Path) -> None:
    line = "from machine import UART\nfrom firmware.nfc.hsu import Hsu\nHsu(UART(1, 115200))\n"

    async def scenario() -> None:
        async with running(tmp_path, MADE + line + "door.open()\nwhile True:\n    pass\n") as bus:
            await bus.wait_for(pins.STRIKE, 1)
            await bus.wait_for(pins.STRIKE, 0, since=2)
            assert levels(bus) == [0, 1, 0]

    asyncio.run(scenario())


def test_before_anything_is_known_of_it_the_strike_has_no_current(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, MADE + "import time\ntime.sleep(30)\n") as bus:
            await bus.wait_for(pins.STRIKE, 0)
            assert levels(bus) == [0]

    asyncio.run(scenario())


def test_opening_an_open_strike_begins_the_pulse_anew_and_ends_it_once(tmp_path: Path) -> None:
    source = """
from machine import Pin
door.open()
clock[0] = 200
door.open()
clock[0] = 499
door.look()
Pin("still", Pin.OUT, value=door._pin.value())
clock[0] = 500
while True:
    pass
"""

    async def scenario() -> None:
        async with running(tmp_path, FITTED["fail-secure"] + CLOCK + source) as bus:
            await bus.wait_for("still", 1)
            await bus.wait_for(pins.STRIKE, 0, since=3)
            assert levels(bus) == [0, 0, 1, 1, 0]

    asyncio.run(scenario())


def test_shutting_at_once_ends_the_pulse_and_its_timer_does_nothing_more(tmp_path: Path) -> None:
    # The clock stands still between the first two calls. Otherwise a slow machine could end the pulse there.
    wait = "import time\nfor _ in range(50):\n    time.sleep_ms(10)\n"
    source = f"door.open()\ndoor.shut()\nclock[0] = 1000\n{wait}door.open()\n"

    async def scenario() -> None:
        async with running(tmp_path, FITTED["fail-secure"] + CLOCK + source) as bus:
            await bus.wait_for(pins.STRIKE, 1, since=4)
            assert levels(bus)[:5] == [0, 0, 1, 0, 1]

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", FITTED)
def test_a_power_cut_while_open_leaves_a_fail_secure_strike_shut_and_a_fail_safe_one_open(
    tmp_path: Path, kind: str
) -> None:
    async def scenario() -> None:
        async with BoardBus().listening() as bus:
            source = PULSE.replace("300", "60000") + FITTED[kind] + "door.open()\nimport time\ntime.sleep(30)\n"
            async with board(tmp_path, source, "micropython", {"MOORING_BOARD": bus.address}):
                await bus.wait_for(pins.STRIKE, OPEN[kind], since=2)
            while bus.values[pins.STRIKE]:
                await bus.wait_for(pins.STRIKE, 0)
            assert bus.values[pins.STRIKE] == 0, "no current: shut if fail-secure, open if fail-safe"

    asyncio.run(scenario())


def test_a_timer_that_cannot_be_had_leaves_the_door_shut(tmp_path: Path) -> None:
    source = """
def broken(**_):
    raise OSError(12)
door._timer.init = broken
try:
    door.open()
except OSError:
    from machine import Pin
    Pin("refused", Pin.OUT, value=1)
import time
time.sleep(30)
"""

    async def scenario() -> None:
        async with running(tmp_path, FITTED["fail-secure"] + source) as bus:
            await bus.wait_for("refused", 1)
            assert 1 not in levels(bus)

    asyncio.run(scenario())


def test_the_end_of_a_pulse_that_found_no_place_in_the_queue_comes_a_little_later(tmp_path: Path) -> None:
    source = """
import machine
full, queue = [True], machine._schedule
def schedule(callback, timer):
    if full[0]:
        raise RuntimeError("schedule queue full")
    queue(callback, timer)
machine._schedule = schedule
import time
door.open()
time.sleep_ms(600)
full[0] = False
while True:
    pass
"""

    async def scenario() -> None:
        async with running(tmp_path, FITTED["fail-secure"] + source) as bus:
            await bus.wait_for(pins.STRIKE, 1, since=2)
            shut = await bus.wait_for(pins.STRIKE, 0, since=3)
            assert shut.ticks - bus.changes(pins.STRIKE)[2].ticks >= 590
            assert levels(bus) == [0, 0, 1, 0]

    asyncio.run(scenario())


def test_where_no_timer_ever_comes_whoever_looks_after_the_lock_shuts_it(tmp_path: Path) -> None:
    source = """
import machine
from machine import Pin
machine._schedule = lambda callback, timer: None
door.open()
clock[0] = 299
door.look()
Pin("at its end", Pin.OUT, value=door._pin.value())
clock[0] = 300
door.look()
"""

    async def scenario() -> None:
        async with running(tmp_path, FITTED["fail-secure"] + CLOCK + source) as bus:
            await bus.wait_for("at its end", 1)
            await bus.wait_for(pins.STRIKE, 0, since=3)
            assert levels(bus) == [0, 0, 1, 0]

    asyncio.run(scenario())


def test_the_last_look_of_an_earlier_pulse_does_not_take_the_timer_of_the_next(tmp_path: Path) -> None:
    source = """
import time
strike.LOOK_MS = 60000
door.open()
time.sleep_ms(350)
begin = door._timer.init
def late(**how):
    begin(**how)
    door.look()
strike.LOOK_MS = 20
door._timer.init = late
door.open()
while True:
    pass
"""

    async def scenario() -> None:
        async with running(tmp_path, FITTED["fail-secure"] + source) as bus:
            await bus.wait_for(pins.STRIKE, 1, since=3)
            await bus.wait_for(pins.STRIKE, 0, since=4)
            assert levels(bus) == [0, 0, 1, 1, 0]

    asyncio.run(scenario())
