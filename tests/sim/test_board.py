"""The stand-in `machine` reports the lock's pins to the host. A UART of this stand-in waits without taking CPU time."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from sim.board import interpreter, layout
from sim.board.bus import BoardBus
from sim.loopback import serving
from tests.support.board_process import RUNTIMES, board
from tests.support.on_lock import run_on_lock


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process so far, or 0 if the system does not report CPU times."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_write_of_an_output_is_seen_with_its_time(tmp_path: Path, runtime: str) -> None:
    source = """
from machine import PWM, Pin
strike = Pin(10, Pin.OUT, value=0)
strike.on(); strike.on(); strike.off()
buzzer = PWM(Pin(21), freq=1000, duty_u16=0)
buzzer.freq(1760); buzzer.duty_u16(32768)
"""

    async def scenario() -> None:
        async with (
            BoardBus().listening() as bus,
            board(tmp_path, source, runtime, {"MOORING_BOARD": bus.address}) as lock,
        ):
            opened = await bus.wait_for(10, 1, since=0)
            assert await lock.wait() == 0
            await bus.wait_for(10, 0)
            assert [event.facts["value"] for event in bus.changes(10)] == [0, 1, 1, 0]
            assert bus.changes(10)[0].ticks <= opened.ticks <= bus.changes(10)[-1].ticks
            tones = [(e.facts["freq"], e.facts["duty"]) for e in bus.history if "pwm" in e.facts]
            assert tones == [(1000, 0), (1760, 0), (1760, 32768)]

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_input_reaches_the_lock_by_reading_and_by_irq(tmp_path: Path, runtime: str) -> None:
    source = """
import asyncio
from machine import Pin
door = Pin("door", Pin.IN, Pin.PULL_UP)
seen = Pin("seen", Pin.OUT, value=0)
async def main():
    done = asyncio.Event()
    def edge(pin):
        seen.value(1 - pin.value())
        done.set()
    door.irq(edge, Pin.IRQ_FALLING)
    Pin("listens", Pin.OUT, value=1)
    await done.wait()
    await asyncio.sleep(5)
asyncio.run(main())
"""

    async def scenario() -> None:
        async with BoardBus().listening() as bus, board(tmp_path, source, runtime, {"MOORING_BOARD": bus.address}):
            await bus.wait_for("listens", 1)  # an edge before this moment may find nobody who listens
            bus.set_input("door", 0)
            await bus.wait_for("seen", 1)

    asyncio.run(scenario())


def test_outputs_are_inert_once_the_power_is_gone(tmp_path: Path) -> None:
    source = "from machine import Pin\nimport time\nPin(10, Pin.OUT, value=1)\ntime.sleep(30)\n"

    async def scenario() -> None:
        async with BoardBus().listening() as bus:
            async with board(tmp_path, source, "micropython", {"MOORING_BOARD": bus.address}):
                await bus.wait_for(10, 1)
            await bus.wait_for(10, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_uart_carries_bytes_both_ways_and_idles_without_load(tmp_path: Path, runtime: str) -> None:
    source = """
import asyncio
from machine import UART
uart = UART(1, 115200)
async def main():
    stream = asyncio.StreamReader(uart)
    stream.write(bytes(range(256)))
    await stream.drain()
    echoed = await stream.readexactly(256)
    stream.write(echoed)
    await stream.drain()
    while await stream.read(16) != b"end":
        pass
asyncio.run(main())
"""

    async def scenario() -> None:
        seconds_of_work: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        async def chip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(256))
            assert await reader.readexactly(256) == bytes(range(256))
            worked = 1.0
            for _ in range(20):  # on a slow machine, the lock may still be busy with what came before
                before = cpu_seconds(pid[0])
                await asyncio.sleep(0.5)  # the line is quiet, so the lock should do nothing
                worked = cpu_seconds(pid[0]) - before
                if worked < 0.05:
                    break
            seconds_of_work.set_result(worked)
            writer.write(b"end")

        pid: list[int] = []
        async with serving(chip) as endpoint, board(tmp_path, source, runtime, {"MOORING_UART1": endpoint}) as lock:
            pid.append(lock.pid)
            assert await seconds_of_work < 0.05
            assert await lock.wait() == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_uart_interrupts_when_bytes_have_come_and_takes_timer_0_for_it(tmp_path: Path, runtime: str) -> None:
    source = """
import time
from machine import Timer, UART
uart = UART(1, 115200)
told = []
for wrong in ({"hard": True}, {"trigger": 8}):
    try:
        uart.irq(told.append, **wrong)
        raise AssertionError(wrong)
    except ValueError:
        pass
uart.irq(told.append, UART.IRQ_BREAK)
uart.write(b"one")
while uart.read(16) is None:
    pass
assert told == []
timers = Timer(0), Timer(1)
uart.irq(told.append, trigger=UART.IRQ_RXIDLE)
uart.write(b"two")
while uart.read(16) is None:
    pass
assert told == [uart]
for timer in timers:
    timer.init(mode=Timer.ONE_SHOT, period=1, callback=told.append)
while len(told) < 2:
    time.sleep(0.01)
assert told[1:] == [timers[1]]
"""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(16):
            writer.write(data)

    async def scenario() -> None:
        async with serving(echo) as endpoint, board(tmp_path, source, runtime, {"MOORING_UART1": endpoint}) as lock:
            assert await lock.wait() == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_without_a_host_everything_works_in_silence(tmp_path: Path, runtime: str) -> None:
    source = """
from machine import PWM, Pin, UART, WDT, reset_cause, unique_id, PWRON_RESET
Pin(10, Pin.OUT, value=0).on()
PWM(Pin(21), freq=1000, duty_u16=1)
WDT(timeout=1000).feed()
uart = UART(1, 9600)
assert uart.read(1) is None and uart.any() == 0 and uart.write(b"abc") == 3
assert reset_cause() == PWRON_RESET and len(unique_id()) == 6
"""
    script = tmp_path / "silent.py"
    script.write_text(source)
    lock = interpreter.find(runtime)
    subprocess.run(lock.command(script), env=lock.environment(), check=True)


def test_the_built_in_machine_is_extended_and_not_hidden(tmp_path: Path) -> None:
    script = tmp_path / "extended.py"
    script.write_text("import machine\nassert machine.mem32 and machine.Pin\n")
    lock = interpreter.find()
    subprocess.run(lock.command(script), env=lock.environment(), check=True)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import machine\nmachine.reset()", layout.RESET_EXIT),
        ("import machine, time\nw = machine.WDT(timeout=20)\ntime.sleep(0.05)\nw.feed()", layout.WATCHDOG_EXIT),
        ("import machine, time\nw = machine.WDT(timeout=3600000)\ntime.sleep(0.05)\nw.feed()", 0),
    ],
)
def test_the_exit_code_tells_why_the_board_stopped(tmp_path: Path, source: str, code: int) -> None:
    script = tmp_path / "stops.py"
    script.write_text(source)
    lock = interpreter.find()
    assert subprocess.run(lock.command(script), env=lock.environment(), check=False).returncode == code


def test_a_watchdog_that_is_never_fed_again_is_noticed_by_the_host(tmp_path: Path) -> None:
    source = "import machine, time\nw = machine.WDT(timeout=100)\nw.feed()\ntime.sleep(30)\n"

    async def scenario() -> None:
        expired = asyncio.Event()
        async with (
            BoardBus(on_watchdog=expired.set).listening() as bus,
            board(tmp_path, source, "micropython", {"MOORING_BOARD": bus.address}),
        ):
            await expired.wait()

    asyncio.run(scenario())


def test_the_stand_in_for_bluetooth_is_as_strict_as_the_chip() -> None:
    script = """
import bluetooth

ble, heard, raised = bluetooth.BLE(), [], []


def handler(event, data):
    heard.append(event)
    raise MemoryError


for call in (ble.gatts_notify, ble.gap_disconnect, ble.gattc_write, ble.gattc_exchange_mtu, ble.gatts_read):
    try:
        call(*(None, 16, b"")[: 1 if call in (ble.gap_disconnect, ble.gattc_exchange_mtu, ble.gatts_read) else 3])
    except TypeError:
        raised.append(True)
ble.irq(handler)
for connection in (1, 2):
    ble._event(1, connection, 0, bytes(7))
answer([len(raised), heard])
"""
    assert run_on_lock(script) == [5, [1]]
