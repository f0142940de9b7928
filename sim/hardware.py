"""The devices at one door: the lock, its board and radio, the reader chip and the keypad."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.bell import Bell
from sim.board import flash
from sim.board.bus import BoardBus
from sim.board.keypad import WiegandKeypad
from sim.lock import Lock
from sim.loopback import Serving, serving
from sim.nfc.card import Traits
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.radio.air import Air
from sim.radio.lock_radio import LockRadio

SWAP_LOOKS = 8
"""How many times the chip must find the field empty before the next phone is held to the reader. In each poll, the lock
looks for a card twice. After three polls, the lock knows that the previous phone has gone.
"""

LockMaker = Callable[[Mapping[str, str], Path], Lock]
"""Function that makes a lock. The function gets the environment by which the lock finds its board, and the path of the
console's log.
"""


@dataclass(frozen=True)
class Hardware:
    """The devices at one door. `image` is the file that holds the lock's flash."""

    image: Path
    bus: BoardBus
    radio: LockRadio
    reader: VirtualPn532
    keypad: WiegandKeypad
    lock: Lock


@asynccontextmanager
async def assembled(
    folder: Path,
    address: str,
    air: Air,
    make_lock: LockMaker,
    board: Mapping[str, str],
    serve: Serving = serving,
    lingers: float = 0.0,
    bell: Bell | None = None,
) -> AsyncIterator[Hardware]:
    """Build and connect the devices of a door, with their files in `folder`. The lock is new and switched off.

    `address` is the Bluetooth address of the lock's radio. `board` has the settings of the stand-ins for the board's
    hardware. `serve` connects the lock to its devices. `lingers` is explained at `sim.nfc.antenna.Antenna`. The board
    rings the `bell`.
    """
    async with AsyncExitStack() as stack:
        radio = await stack.enter_async_context(LockRadio(air, address).listening(serve))
        image = flash.create(folder / "flash.img")
        bus = BoardBus(lambda: lock.power_off(), lambda: flash.journal(image, board), bell)
        await stack.enter_async_context(bus.listening(serve))
        for pin in pins.INPUTS.values():
            bus.set_input(pin, 0)  # at rest: the door is shut, nobody uses handle or key, and the cover is on
        reader = VirtualPn532(traits=Traits(fresh_uid=True), looks_between=SWAP_LOOKS, lingers=lingers)
        stack.push_async_callback(reader.stop)
        uart = await stack.enter_async_context(serve(reader.serve))
        environment = {
            "MOORING_FLASH": str(image),
            "MOORING_BOARD": bus.address,
            "MOORING_RADIO": radio.endpoint,
            "MOORING_UART1": uart,
            **board,
        }
        lock = make_lock(environment, folder / "lock.log")
        stack.push_async_callback(lock.kill)
        yield Hardware(image, bus, radio, reader, WiegandKeypad(bus, *pins.KEYPAD), lock)
