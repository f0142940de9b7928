"""The firmware feeds the watchdog only while all tasks of the firmware work. The tests use the real interpreter."""

from typing import Any

import pytest

from tests.support.on_lock import VIRTUAL_TIME, run_on_lock

_ON_LOCK = """
import asyncio
from firmware.hardware.watchdog import watch
import firmware.hardware.watchdog as rules
from firmware.memory.visits import Visits
rules._LOOP_MS = 2
rules.SERVED_MS = 100
class Watchdog:
    fed = 0
    def feed(self):
        self.fed += 1
watchdog = Watchdog()
async def lives():
    await asyncio.sleep(30)
async def ends():
    await asyncio.sleep(0.02)
async def fails():
    await asyncio.sleep(0.02)
    raise ValueError("a guest's name")
TASKS = {"lives": lives, "ends": ends, "fails": fails}
ticked = [0]
def tick():
    ticked[0] += 1
async def main():
    tasks = [asyncio.create_task(TASKS[name]()) for name in given["tasks"]]
    visits = Visits()
    async def guests():
        while True:
            visits.begin()
            await asyncio.sleep(given["seconds"])
            visits.end()
    if given["seconds"]:
        tasks.append(asyncio.create_task(guests()))
    watching = asyncio.create_task(watch(watchdog, tasks, visits.lasting_ms, tick))
    await asyncio.sleep(0.3)
    at_end = watchdog.fed
    over = watching.done()
    await asyncio.sleep(0.05)
    answer({"fed": at_end, "fed_later": watchdog.fed, "over": over, "ticked": ticked[0]})
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("tasks", "seconds", "fed_for_ever"),
    [
        (["lives", "lives"], 0, True),
        (["lives", "ends"], 0, False),
        (["fails", "lives"], 0, False),
        (["lives"], 30, False),
        (["lives"], 0.02, True),
    ],
    ids=["all is well", "a task ended", "a task failed", "a guest is served for ever", "guests without a pause"],
)
def test_the_watchdog_is_fed_while_all_is_well_and_not_once_something_is_not(
    tasks: list[str], seconds: float, fed_for_ever: bool
) -> None:
    came: dict[str, Any] = run_on_lock(VIRTUAL_TIME + _ON_LOCK, {"tasks": tasks, "seconds": seconds})
    assert came["fed"] > 0 and came["ticked"] >= came["fed"], "at first everything works"
    assert came["over"] is not fed_for_ever
    assert (came["fed_later"] > came["fed"]) is fed_for_ever


def test_guests_one_after_the_other_are_not_one_who_is_served_for_ever() -> None:
    source = """
from firmware.hardware import ticks
from firmware.memory.visits import Visits
clock = [0]
ticks.now = lambda: clock[0]
visits, seen = Visits(), []
for _ in range(4):
    visits.begin()
    clock[0] += 35000
    visits.begin()  # a PIN, in between
    visits.end()
    seen.append(visits.lasting_ms())
    visits.end()
answer(seen + [visits.lasting_ms()])
"""
    assert run_on_lock(source) == [35000] * 4 + [0]
