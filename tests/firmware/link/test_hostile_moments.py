"""Radio events interrupt the firmware at all places where this can happen on the chip. No such event stops the lock."""

import asyncio
import json
import subprocess
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from bleak.exc import BleakError

from protocol import link
from sim.board import interpreter
from sim.phone.ble import BleHabits
from sim.radio.air import PartFault
from tests.support.bare_edge import Edge, greeted, run
from tests.support.ble_world import BleWorld, EchoEdge, ble_world, edge_beside
from tests.support.on_lock import VIRTUAL_TIME, run_on_lock, script_as_compiled
from tests.support.radio_world import RadioWorld

BOARD = interpreter.ROOT / "tests" / "on_micropython" / "link_moments_board.py"


@pytest.mark.parametrize("how", ["alone", "another"])
@pytest.mark.parametrize(("runtime", "first", "stride"), [("cpython", 1, 1), ("micropython", 74, 9)])
def test_a_connection_that_ends_at_any_moment_costs_nobody_else_anything(
    runtime: str, first: int, stride: int, how: str
) -> None:
    lock = interpreter.find(runtime)
    with script_as_compiled(BOARD, VIRTUAL_TIME) if runtime == "micropython" else nullcontext(BOARD) as script:
        command = lock.command(script, how, str(first), str(stride))
        done = subprocess.run(command, env=lock.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = json.loads(done.stdout.rsplit("\x02", 1)[1])
    assert said["wrong"] == [] and said["moments"] > 100
    assert said["tried"] == len(range(first, said["moments"] + 1, stride)) >= 4


@pytest.mark.parametrize("how", ["server", "client", "memory"])
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_phone_that_goes_at_any_moment_or_finds_no_memory_costs_its_own_tap_alone(runtime: str, how: str) -> None:
    lock = interpreter.find(runtime)
    board = BOARD.with_name("session_moments_board.py")
    with script_as_compiled(board, VIRTUAL_TIME) if runtime == "micropython" else nullcontext(board) as script:
        command = lock.command(script, how)
        done = subprocess.run(command, env=lock.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = json.loads(done.stdout.rsplit("\x02", 1)[1])
    assert said["wrong"] == [] and said["moments"] > 4


def test_a_phone_that_is_gone_as_soon_as_it_is_there_is_looked_for_again() -> None:
    script = """
import asyncio
from firmware.mdoc_ble import client
from firmware.mdoc_reader.response_buffer import ResponseBuffer
from firmware.hardware.radio import Radio
from protocol.errors import TransportError
from protocol.mdoc import ble

SERVICE = bytes(range(16))


class Stack:
    tries = 0

    def __getattr__(self, name):
        return lambda *_, **__: True

    def irq(self, handler):
        self.handler = handler

    def gap_scan(self, duration, *_):
        if duration is not None:
            self.handler(5, (1, bytes(6), 0, -60, memoryview(ble.advertisement(SERVICE))))

    def gap_connect(self, *_):
        self.tries += 1
        for event in (7, 8):
            self.handler(event, (3, 1, bytes(6)))

    def gattc_exchange_mtu(self, connection):
        if not isinstance(connection, int):
            raise TypeError("can't convert to int")
        raise OSError(128)


async def taps():
    stack = Stack()
    radio = Radio(stack)
    radio.active(True)
    session = client.ClientSession(radio, SERVICE, 1000, ResponseBuffer())
    await session.begin()
    try:
        await session.ready()
    except TransportError as error:
        return [error.code, stack.tries]
    finally:
        session.close()


answer(asyncio.run(taps()))
"""
    assert run_on_lock(script) == ["ble.lost", 3]


def test_edges_that_come_and_go_at_bad_moments_leave_a_link_that_serves_the_next() -> None:
    async def leaves_in_the_midst(edge: Edge, heard: int) -> None:
        """Ask for much data, and disconnect before the lock has sent all of it."""
        await edge.say(link.pull(1, 64))
        await edge.say(link.deliver(b"s" * 900))
        for _ in range(heard):
            await edge.hear()

    async def scenario(world: RadioWorld) -> None:
        for number in range(6):
            async with greeted() as edge:
                await leaves_in_the_midst(edge, 2 * number)
        async with greeted() as edge:
            await edge.say(link.pull(1, 64))
            assert await edge.hear_records(32) == list(range(1, 33))
        assert world.process is not None and world.process.returncode is None

    run(32, scenario, MOORING_RADIO_HOSTILE="1")


ENDS = {"ble.lost", "ble.no_phone", "ble.silent", "ble.stack", "ble.refused", "ble.service"}


@pytest.mark.parametrize("mode", ["central", "peripheral"])
def test_phones_that_go_at_bad_moments_cost_their_own_tap_and_no_other(mode: Any) -> None:
    async def story(world: BleWorld) -> None:
        way: Any = "write" if mode == "central" else "notification"
        back: Any = "notification" if mode == "central" else "write"
        habits = BleHabits(mtu=185)
        for habit, fault in (
            (BleHabits(vanish="before-start"), None),
            (BleHabits(vanish="after-start"), None),
            (habits, PartFault("cut", 1, back)),
            (habits, PartFault("cut", 3, way)),
            (habits, PartFault("cut", 2, back)),
        ):
            world.air.faults = [fault] if fault else []
            read, _ = await world.tapped(await world.phone(mode, habits=habit))
            assert read.code in ENDS if habit.vanish != "before-start" else read.code is None
        world.air.faults = []
        read, outcome = await world.tapped(await world.phone(mode))
        assert read.code is None and outcome.result == "presented"

    async def echoes(edge: EchoEdge) -> bool:
        for _ in range(3):
            with suppress(BleakError):
                return await edge.echo(b"still") == b"still"
        return False  # one echo may fail because its connection ends, but not three echoes

    async def scene() -> None:
        async with ble_world(hostile=1) as world, edge_beside(world) as edge:
            await story(world)
            assert await echoes(edge)
            assert not [said for said in world.log if "Unhandled" in str(said.get("console"))]

    asyncio.run(scene())
