"""When a read of the reader's line ends: on the lock's own interpreter, on virtual time that jumps from event to event.

In the snippet, `line.sends` are the bytes that arrive, each with its tick.
"""

from typing import Any

from tests.support.on_lock import VIRTUAL_TIME, run_on_lock

LINE = (
    VIRTUAL_TIME
    + """
from asyncio import core
from firmware.nfc.hsu import Hsu
from protocol.errors import TransportError

class Line:
    # The UART, and the queue of the tasks that wait for it.
    map = ()
    task = None

    def __init__(self):
        self.sends = []

    def send(self, after, data):
        self.sends.append((time.ticks_add(_ms, after), data))

    def left(self):
        return time.ticks_diff(self.sends[0][0], _ms) if self.sends else 1 << 20

    def read(self, size):
        return self.sends.pop(0)[1] if self.left() <= 0 else None

    def write(self, data):
        return len(data)

    def queue_read(self, stream):
        self.task = core.cur_task
        core.cur_task.data = self

    def remove(self, task):
        self.task = None

    def wait_io_event(self, ms):
        global _ms
        assert core._task_queue.peek() or self.sends, "a read without a limit"
        if self.task is not None:
            ms = min(ms, max(self.left(), 0))
        _ms = time.ticks_add(_ms, ms)
        if self.task is not None and self.left() <= 0:
            task, self.task = self.task, None
            core._task_queue.push(task)

line = Line()
core._io_queue = line
hsu = Hsu(line)
made = []
create = asyncio.create_task

def counted(coroutine):
    made.append(create(coroutine))
    return made[-1]

asyncio.create_task = counted

def busy(ms):
    # Code that has the loop to itself
    global _ms
    _ms = time.ticks_add(_ms, ms)

async def read(limit):
    # The milliseconds that a read took, and what came of it
    began = _ms
    try:
        data = (await hsu.read(limit)).decode()
    except TransportError as error:
        data = error.code
    except asyncio.CancelledError:
        data = "cancelled"
    return [time.ticks_diff(_ms, began), data]

async def story():
    STORY

async def main():
    told = await story()
    await asyncio.sleep_ms(5000)
    answer([told, core._task_queue.peek() is not None])

asyncio.run(main())
"""
)


def on_the_line(story: str) -> Any:
    """Run `story` on the lock and return its result. Five seconds after it, no task may be left."""
    told, left = run_on_lock(LINE.replace("STORY", story.strip().replace("\n", "\n    ")))
    assert not left, "a task that watches the time of no read"
    return told


def test_a_read_without_bytes_ends_at_its_limit_after_a_longer_read_or_a_pause() -> None:
    limits = [50, 250, 50, 1, 7, 3000, 50]
    told, watching = on_the_line(f"""
told, watching = [], []
for limit in {limits}:
    line.send(3, b"early")
    told += [await read(4000), await read(limit)]
    watching.append([task.done() for task in made].count(False))
    await asyncio.sleep_ms(300)
    told.append(await read(limit))
return told, watching
""")
    assert told == [result for limit in limits for result in ([3, "early"], [limit, ""], [limit, ""])]
    assert max(watching) == 1


def test_a_hundred_reads_share_a_few_timers() -> None:
    told, timers = on_the_line("""
told = []
for _ in range(50):
    line.send(2, b"ack")
    line.send(40, b"response")
    told += [await read(50), await read(400)]
return told, len(made)
""")
    assert told == [[2, "ack"], [38, "response"]] * 50
    assert timers <= 60


def test_bytes_that_arrived_while_the_loop_was_elsewhere_past_the_limit_are_returned() -> None:
    told = on_the_line("""
async def elsewhere():
    await asyncio.sleep_ms(10)
    line.send(60, b"late")
    busy(70)

task = create(elsewhere())
return [await read(50), await read(50)]
""")
    assert told == [[80, "late"], [50, ""]]


LATE = """
import asyncio, io, time
from firmware.nfc.hsu import Hsu

class Line(io.IOBase):
    data = None

    def ioctl(self, request, argument):
        return argument & (5 if self.data else 4) if request == 3 else -22

    def read(self, size):
        data, self.data = self.data, None
        return data

async def meddle(line, reading, after, cancels):
    if after:
        await asyncio.sleep_ms(after)
    over = reading.data is asyncio.TimeoutError
    line.data = b"kept"
    return over, cancels and reading.cancel()

async def story(after, cancels):
    while True:
        began = time.ticks_ms()
        line = Line()
        hsu = Hsu(line)
        reading = asyncio.create_task(hsu.read(50))
        if after:
            meddling = asyncio.create_task(meddle(line, reading, after, cancels))
        for _ in range(4):
            await asyncio.sleep_ms(0)
        if time.ticks_diff(time.ticks_ms(), began) < 50:
            break  # if this machine was too slow, try again
    time.sleep_ms(60)  # all times pass before the loop runs again
    over, cancelled = await (meddling if after else meddle(line, reading, 0, cancels))
    try:
        told = (await reading).decode()
    except asyncio.CancelledError:
        told = "cancelled"
    return over, cancelled, told, (await hsu.read(1)).decode()

async def main():
    told = []
    for each in given:
        told.append(await story(*each))
    answer(told)

asyncio.run(main())
"""


def test_no_cancel_and_no_byte_is_lost_when_the_limit_is_over_at_the_same_time() -> None:
    """The loop is elsewhere while the limit of 50 ms ends. Another task then acts before or after this is noticed."""
    before, after, without = run_on_lock(LATE, [[0, True], [51, True], [51, False]])
    assert before == [False, True, "cancelled", "kept"]
    assert after == [True, True, "cancelled", "kept"]
    assert without == [True, False, "kept", ""]


def test_a_line_that_is_closed_says_so_and_a_silent_one_does_not() -> None:
    told = on_the_line("""
silent = await read(20)
line.send(5, b"")
return silent, await read(20)
""")
    assert told == [[20, ""], [5, "nfc.reader"]]
