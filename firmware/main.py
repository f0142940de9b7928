"""Boots the lock. First the outputs are made inert. Next the files in flash are opened. Then tasks serve the reader,
the keypad, the edge link, the cable and the watchdog."""

import asyncio
import gc
import sys

import bluetooth
import esp32
import machine
from machine import UART, WDT

from firmware import RUN_THRESHOLD, crypto
from firmware.door.door import Door
from firmware.door.reader_task import serve
from firmware.hardware.console import advise, log
from firmware.hardware.irq_flag import irq_flag
from firmware.hardware.keypad import Keypad
from firmware.hardware.radio import Radio
from firmware.hardware.sensors import Sensors
from firmware.hardware.signals import Signals
from firmware.hardware.strike import Strike
from firmware.hardware.watchdog import WATCHDOG_MS, watch
from firmware.link.edge_link import Link
from firmware.lock import Lock
from firmware.maintenance import Maintenance
from firmware.mdoc_ble import MdocBle
from firmware.mdoc_ble.server import service
from firmware.memory import identity
from firmware.memory.store import Store
from firmware.nfc.hsu import POWER_UP_BAUDRATE, Hsu
from firmware.nfc.pn532 import Pn532Reader
from protocol import const, fittings, record
from protocol.errors import MooringError, StorageError
from protocol.fittings import Fittings

_RECEIVE_BUFFER = const(1024)
"""Size of the UART's receive buffer, in bytes. The longest frame of the reader chip is shorter."""

_BOOTS = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "reset",  # reset by the chip's reset pin, or after a dip of the supply
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "wake",
    machine.SOFT_RESET: "soft",
}
_MICROPYTHON = sys.implementation.name == "micropython"
if _MICROPYTHON:
    import micropython

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.boards import Board


def main(state: str, board: "Board") -> None:
    """Run the lock for ever. `state` is the folder where littlefs is mounted, and `board` is a module of
    `firmware.boards`.

    This function returns only on a lock that was never enrolled. On any other lock, the outputs are made inert and the
    board starts again when the loop ends.
    """
    in_service = True
    strike = None
    try:
        strike = Strike(board.STRIKE)  # make the strike inert first, before anything can fail
        signals = Signals(board.LIGHTS, board.BUZZER)
        gc.collect()
        store = Store(state)
        in_service = identity.anchored(store)
        if in_service:
            if _MICROPYTHON:
                micropython.kbd_intr(-1)  # if boot.py called `main`, it has already done this
            asyncio.run(_run(board, store, strike, signals))
        else:
            log("lock.unenrolled")
            signals.halt()
    except BaseException as error:  # noqa: BLE001  neither an interrupt nor an exit may lead to a prompt
        # Only the type is logged, because the text might contain a guest's data.
        log("lock.failed", error=type(error).__name__)
    finally:
        if strike is not None:
            strike.shut()
        if in_service:
            machine.reset()


def _nothing(_loop: object, _context: object) -> None:
    pass


async def _run(board: "Board", store: Store, strike: Strike, signals: Signals) -> None:
    """Serve, or log why the lock cannot serve. Returns when the lock should start again."""
    # `watch` logs the name of a task that fails. The task's traceback is dropped, because it might contain a guest's
    # data.
    asyncio.get_event_loop().set_exception_handler(_nothing)
    watchdog = WDT(timeout=WATCHDOG_MS)  # from here on, the watchdog ends a boot that hangs
    ble = bluetooth.BLE()
    try:
        ble.active(True)  # switch the radio on first, because the chip's random generator needs it
    except OSError:
        log("radio.broken")  # the link tries again; if the link fails too, the watchdog restarts the board
    fitted, lock, news = None, None, irq_flag()
    try:
        own = identity.load(crypto, store)
        if own is None:
            raise StorageError("identity.corrupt")
        try:
            told = Fittings.parse(store.read(fittings.FILE) or b"{}")
            strike.fit(told.fail_safe)  # do this first, so that a fail-safe strike is shut even if the check fails
            told.check(board.INPUTS)
            fitted = told
        finally:
            partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0]
            lock = Lock(crypto, store, own, partition, news.set)
    except MooringError as error:
        signals.show("fault", 0, False)
        log("lock.halted", code=error.code)
        advise(error.message)
        await Maintenance(store, strike, signals, board, fitted, lock, code=error.code).run(watchdog)
        return
    assert fitted is not None
    radio = Radio(ble, service)
    link = Link(radio, lock, news)
    door = Door(lock, strike, signals, news.set, MdocBle(radio))
    sensors = Sensors(board.INPUTS, fitted, strike, lock.recorder.event)
    lock.recorder.event(record.BOOT, _BOOTS.get(machine.reset_cause(), "other"))
    uart = UART(board.NFC_UART, POWER_UP_BAUDRATE, tx=board.NFC_TX, rx=board.NFC_RX, rxbuf=_RECEIVE_BUFFER)
    reader = Pn532Reader(Hsu(uart), announce=fitted.announce)
    # Build long-lived tables now, so that they lie beside the modules and do not fragment the heap.
    crypto.prepare_signature()
    gc.collect()
    free = 0
    if _MICROPYTHON:
        gc.threshold(RUN_THRESHOLD)
        free = gc.mem_free()
    lock.visits.keep_room()
    log("lock.ready", lock=own.lock_id.hex(), next=lock.journal.next_counter, receipted=lock.journal.through, heap=free)
    tasks = [
        asyncio.create_task(serve(reader, door, signals)),
        asyncio.create_task(link.run()),
        asyncio.create_task(lock.recorder.run()),
        asyncio.create_task(sensors.run()),
        asyncio.create_task(Maintenance(store, strike, signals, board, fitted, lock, sensors).run()),
    ]

    if board.KEYPAD is not None:
        tasks.append(asyncio.create_task(Keypad(*board.KEYPAD).serve(door.enter)))

    def tick() -> None:
        strike.look()
        if lock.tick():
            news.set()  # Wake the link, which then asks the edge for the time.
        if not (lock.visits.going_on or signals.answering):  # Making keys would slow the answer down.
            # A guest who arrives now waits for at most one multiplication.
            try:
                if not lock.session_keys.prepare():
                    crypto.prepare_signature()
                gc.collect()  # the next guest should find a clean heap, and not wait for the collector
            except MemoryError:
                lock.visits.make_room()

    await watch(watchdog, tasks, lock.visits.lasting_ms, tick)
