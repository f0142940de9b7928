"""From the boot on, the whole lock behaves as the installer's fittings say."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.fittings import Fittings
from sim.board import flash, layout
from sim.board.bus import BoardBus
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.radio.air import Air
from sim.radio.lock_radio import LockRadio
from sim.site import Plan, build
from tests.support.board_process import board


def test_a_fail_safe_strike_is_held_by_current_but_for_the_pulse_and_opens_without_power(tmp_path: Path) -> None:
    async def story() -> None:
        async with build(tmp_path, plan=Plan(fittings=Fittings(fail_safe=True))) as site:
            door = site.doors[0]
            guest = site.visitor()
            await door.bookings.book(guest)

            def levels() -> list[int]:
                return [event.facts["value"] for event in door.bus.changes(pins.STRIKE)]

            assert levels() == [0, 1], "without current until the lock knows what it is, and then held"
            await door.tap(guest)
            await site.until("one pulse, and held again", lambda: levels() == [0, 1, 0, 1])
            await door.settle(1)
            await door.lock.kill()
            await door.bus.wait_for(pins.STRIKE, 0)
            assert site.exposed() == []

    asyncio.run(story())


def test_a_polling_frame_that_the_installer_wrote_down_goes_out_while_nobody_is_there(tmp_path: Path) -> None:
    frame = bytes.fromhex("6a0200c0ffee")

    async def story() -> None:
        async with build(tmp_path, plan=Plan(fittings=Fittings(announce=frame))) as site:
            door = site.doors[0]
            guest = site.visitor()
            await door.bookings.book(guest)
            assert (await door.tap(guest)).opened
            assert len(door.reader.antenna.announced) > 3 and set(door.reader.antenna.announced) == {frame}

    asyncio.run(story())


_ENROLLED = """
from sim.board.boot import mount
from firmware import crypto
from firmware.memory import identity
from firmware.memory.store import Store
state = mount()
store = Store(state)
identity.enrol(crypto, store, crypto.generate("P-256")[1])
from firmware.boards import esp32_c6_devkitc_1
from firmware.main import main
"""


async def halted(folder: Path, source: str) -> tuple[bytes, list[Any]]:
    """Enrol a lock, and run `source`, which makes the lock halt. Return the output and the strike's levels."""
    image = flash.create(folder / "lock.flash")
    async with BoardBus().listening() as bus:
        environment = {"MOORING_BOARD": bus.address, "MOORING_FLASH": str(image)}
        async with board(folder, _ENROLLED + source, "micropython", environment) as lock:
            assert lock.stdout is not None
            said = await lock.stdout.read()
            assert await lock.wait() == layout.RESET_EXIT, "and it tries again"
        return said, [event.facts["value"] for event in bus.changes(pins.STRIKE)]


def test_a_lock_whose_fittings_make_no_sense_says_so_and_gives_the_strike_no_current(tmp_path: Path) -> None:
    source = """
store.write("fittings", b'{"strike": "fail-open"}')
main(state, esp32_c6_devkitc_1)
"""
    said, levels = asyncio.run(halted(tmp_path, source))
    assert b"lock.halted code=fittings.form" in said
    assert b"\nstrike is fail-secure or fail-safe\n" in said, "and what to mend"
    assert set(levels) == {0}


def test_a_lock_on_a_board_without_a_wired_input_says_so_and_stays_shut(tmp_path: Path) -> None:
    source = """
store.write("fittings", b'{"strike": "fail-safe", "inputs": ["contact", "key"]}')
del esp32_c6_devkitc_1.INPUTS["key"]
main(state, esp32_c6_devkitc_1)
"""
    said, levels = asyncio.run(halted(tmp_path, source))
    assert b"lock.halted code=fittings.input" in said
    assert b"\nthis board has no input key. Take it out of the fittings\n" in said
    assert b"Traceback" not in said and b"lock.failed" not in said
    assert levels[0] == 0 and set(levels[1:-1]) == {1}, "held shut by current, until the reset at the end"


_BOOTS = """
from sim.board.boot import mount
from firmware import crypto
from firmware.memory import identity
from firmware.memory.store import Store
state = mount()
identity.enrol(crypto, Store(state), crypto.generate("P-256")[1])
import asyncio, machine
from firmware.boards import esp32_c6_devkitc_1
from firmware.hardware import console
from firmware.main import main
class Board:
    pass
board = Board()
for name in dir(esp32_c6_devkitc_1):
    setattr(board, name, getattr(esp32_c6_devkitc_1, name))
if {keypad} is None:
    board.KEYPAD = None
async def look():
    while b"lock.ready" not in console.lines():
        await asyncio.sleep(0.02)
    print("keypad pins in use:", [pin in machine._bus.pins for pin in esp32_c6_devkitc_1.KEYPAD])
    machine.reset()
asyncio.create_task(look())
main(state, board)
"""


@pytest.mark.parametrize("keypad", [pins.KEYPAD, None], ids=["keypad", "none"])
def test_a_board_whose_file_has_no_keypad_starts_and_leaves_those_pins_alone(
    tmp_path: Path, keypad: tuple[int, int] | None
) -> None:
    async def story() -> None:
        image = flash.create(tmp_path / "lock.flash")
        chip = VirtualPn532()
        uart = await chip.start()
        async with BoardBus().listening() as bus, LockRadio(Air(), Plan().address(1)).listening() as radio:
            environment = {
                "MOORING_BOARD": bus.address,
                "MOORING_FLASH": str(image),
                "MOORING_RADIO": radio.endpoint,
                "MOORING_UART1": uart,
            }
            async with board(tmp_path, _BOOTS.replace("{keypad}", repr(keypad)), "micropython", environment) as lock:
                assert lock.stdout is not None
                said = await lock.stdout.read()
        await chip.stop()
        assert f"keypad pins in use: {[keypad is not None] * 2}\n".encode() in said, said.decode()

    asyncio.run(story())
