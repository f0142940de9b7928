"""Boot: make the outputs inert, open what the flash holds, then serve the reader, the edge link and the watchdog."""

import asyncio
import gc
import sys

import bluetooth
import esp32
import machine
from machine import UART, WDT

from firmware import RUN_THRESHOLD, crypto, identity, pins
from firmware.console import log
from firmware.door import Door
from firmware.link import Link
from firmware.lock import Lock
from firmware.nfc.apdu_bridge import ApduBridge
from firmware.signals import Signals
from firmware.store import Store
from firmware.strike import Strike
from protocol import record
from protocol.errors import MooringError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.nfc import CardReader

WATCHDOG_MS = 30000
"""Longer than the slowest tap on the chip; a loop that has not come round by then is stuck."""

_LOOP_MS = 1000

_BOOTS = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "reset",  # of the chip's pin, or of a supply that sank
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "wake",
    machine.SOFT_RESET: "soft",
}
_MICROPYTHON = sys.implementation.name == "micropython"


def main(state: str) -> None:
    """Run the lock for ever. `state` is the folder where the littlefs file system is mounted."""
    strike = Strike(pins.STRIKE)  # first of all: the strike is inert before anything can fail
    signals = Signals()
    gc.collect()
    if _MICROPYTHON:
        gc.threshold(RUN_THRESHOLD)
    try:
        asyncio.run(_run(state, strike, signals))
    except MooringError as error:
        signals.show("fault")
        log("lock.halted", code=error.code)
    finally:
        strike.shut()


async def _run(state: str, strike: Strike, signals: Signals) -> None:
    store = Store(state)
    own = identity.load(crypto, store)
    if own is None:
        log("lock.unenrolled")
        signals.show("fault")
        return
    lock = Lock(crypto, store, own, esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0])
    link = Link(bluetooth.BLE(), lock)
    door = Door(lock, strike, signals, link.wake)
    lock.recorder.on_record = link.wake
    lock.recorder.event(record.BOOT, _BOOTS.get(machine.reset_cause(), "other"))
    uart = UART(pins.NFC_UART, 115200, tx=pins.NFC_TX, rx=pins.NFC_RX)
    gc.collect()
    free = 0
    if _MICROPYTHON:
        free = gc.mem_free()
    log("lock.ready", lock=own.lock_id.hex(), next=lock.journal.next_counter, receipted=lock.journal.through, heap=free)
    tasks = [
        asyncio.create_task(_serve_reader(ApduBridge(uart), door, signals)),
        asyncio.create_task(link.run()),
        asyncio.create_task(lock.recorder.run()),
    ]
    await _watch(lock, link, tasks)


async def _serve_reader(reader: "CardReader", door: Door, signals: Signals) -> None:
    signals.show("idle")
    while True:
        try:
            card = await reader.wait_for_card()
        except TransportError as error:
            log("reader.trouble", code=error.code)
            continue
        try:
            await door.tap(card)
        finally:
            await card.release()


async def _watch(lock: Lock, link: Link, tasks: "list[asyncio.Task[None]]") -> None:
    """Feed the watchdog only while every task lives and the event loop comes round."""
    watchdog = WDT(timeout=WATCHDOG_MS)
    while True:
        for task in tasks:
            if task.done():
                try:
                    await task
                except Exception as error:  # noqa: BLE001  whatever it was: name it, and let the watchdog restart
                    log("lock.task_failed", error=type(error).__name__)
                return  # unfed from here on: the watchdog restarts the lock
        watchdog.feed()
        if lock.tick():
            link.wake()  # an idle link would not look whether there is a question about the time
        await asyncio.sleep(_LOOP_MS / 1000)
