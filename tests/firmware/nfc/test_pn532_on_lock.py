"""The PN532 driver on the lock's own interpreter and heap, with the chip at the other end of the UART."""

import asyncio
import threading
import time
from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol.mdoc.verifier import verify
from sim import issuer
from sim.nfc.card import Traits
from sim.nfc.faults import Faults
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.applet import Habits
from sim.phone.phone import Phone, TapOutcome
from tests.support import tap
from tests.support.on_lock import run_on_lock

READ = """
import asyncio, gc, time
from machine import UART
from firmware import crypto
gc.collect()
before = gc.mem_alloc()
from firmware.nfc.hsu import Hsu
from firmware.nfc.pn532 import Pn532Reader
gc.collect()
code = gc.mem_alloc() - before
from firmware.hardware import ticks
from firmware.hardware.console import lines, log
from firmware.mdoc_reader.reader import Reading
from protocol.errors import MooringError

chain = [bytes.fromhex(der) for der in given["chain"]]

now = ticks.now

async def tap(reader, items):
    card = await reader.wait_for_card()
    reading = Reading(card, crypto)
    began = now()
    if given["unhurried"]:
        ticks.now = lambda: began
    try:
        shown = await reading.ask(items, bytes.fromhex(given["private"]), chain)
        return [shown.device_response.hex(), shown.session_transcript.hex(), shown.e_reader_private.hex()]
    except MooringError as error:
        return error.code
    finally:
        await reading.close()
        if reading.farewell is not None:
            await reading.farewell
        await card.release()
        ticks.now = now

async def occupied():
    # Something else that has the loop to itself for long, again and again, as the judging of a statement does.
    while True:
        time.sleep_ms(given["away"])
        await asyncio.sleep(0)

async def main():
    uart = UART(1, 115200)
    reader = Pn532Reader(Hsu(uart))
    taps, heard = [], []
    if given["away"]:
        asyncio.create_task(occupied())
        card = await reader.wait_for_card()
        taps.append((await card.transceive(b"\\x00\\xa4\\x04\\x00\\x07\\xd2\\x76\\x00\\x00\\x85\\x01\\x01\\x00")).hex())
    for items in given["taps"]:
        log("test.tap")
        taps.append(await tap(reader, items))
        heard.append(b"mdoc.farewell_unheard" not in lines().split(b"test.tap")[-1])
    answer({"taps": taps, "heard": heard, "version": list(reader.chip.version), "code": code, "irq": uart._trigger})

asyncio.run(main())
"""

LICENCE = {issuer.MDL: tap.ITEMS[issuer.MDL]}


def read_on_lock(
    monkeypatch: pytest.MonkeyPatch,
    board: VirtualPn532,
    phones: list[Phone],
    items: list[Any],
    away: int = 0,
    unhurried: bool = False,
    **tapping: Any,
) -> tuple[dict[str, Any], list[TapOutcome]]:
    """Let `phones` tap one after the other. Return the lock's results and the phones' results.

    Between any two steps, the event loop is busy elsewhere for `away` ms. If `away` is given, the first phone gets only
    one command. If `unhurried` is true, the lock's time stands still during a tap. Then no limit of the lock is over
    before the chip has answered, however slow this machine is.
    """
    listening = threading.Event()
    done = threading.Event()
    outcomes: list[TapOutcome] = []
    address = ""

    async def guests() -> None:
        nonlocal address
        address = await board.start()
        listening.set()
        for phone in phones:
            outcomes.append(await phone.tap(board, **tapping))
        await asyncio.to_thread(done.wait)
        await board.stop()

    thread = threading.Thread(target=asyncio.run, args=(guests(),), daemon=True)
    thread.start()
    listening.wait()
    monkeypatch.setenv("MOORING_UART1", address)
    private = tap.reader_key()[0].hex()
    chain = [der.hex() for der in tap.reader_chain()]
    given = {"taps": items, "private": private, "chain": chain, "away": away, "unhurried": unhurried}
    try:
        said = run_on_lock(READ, given)
    finally:
        done.set()
    thread.join()
    return said, outcomes


def elements(said: list[str]) -> dict[str, dict[str, Any]]:
    response, transcript, private = (bytes.fromhex(value) for value in said)
    now = int(time.time())
    (document,) = verify(
        crypto, response, transcript, [tap.iaca(issuer.MDL).der], now=(now, now), e_reader_private=private
    )
    return document.elements


def test_the_lock_reads_phone_after_phone_whatever_their_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The phones differ in device authentication, length of APDUs, use of Le, amount of data (up to 9 KB) and speed."""
    large = {issuer.MDL: {"org.iso.18013.5.1": ["portrait"]}}
    short = Habits(max_read=15, max_command=255, max_response=256, chunk=100, ignore_le=True)
    phones = [
        tap.phone(),
        tap.phone(authentication="mac"),
        tap.phone(habits=short),
        tap.phone(consent_seconds=0.4),
        tap.phone(negotiates=True, habits=Habits(empty_polls=2)),
        tap.phone(tap.credential(issuer.MDL, portrait=7500)),
        tap.phone(reader_roots=[]),
        tap.phone(tamper="session-data"),
    ]
    items = [*[LICENCE] * 5, large, LICENCE, LICENCE]
    said, outcomes = read_on_lock(monkeypatch, VirtualPn532(looks_between=8), phones, items)
    taps = said["taps"]
    for shown in taps[:5]:
        assert sorted(elements(shown)["org.iso.18013.5.1"]) == LICENCE[issuer.MDL]["org.iso.18013.5.1"]
    assert len(elements(taps[5])["org.iso.18013.5.1"]["portrait"]) == 7500
    assert taps[6:] == ["session.declined", "session.encryption"]
    assert [outcome.result for outcome in outcomes] == [*["presented"] * 6, "unknown-reader", "presented"]
    # On a slow machine, 60 ms may be too short for a termination. The lock then says that it was not heard.
    for outcome, status, heard in zip(outcomes, [*[20] * 6, None, 10], said["heard"], strict=True):
        assert outcome.status == status or (outcome.status is None and not heard)
    assert outcomes[0].reader == "TEST door"
    assert said["version"] == [0x32, 1, 6, 7]
    assert said["irq"] == 0x1000, "RXIDLE wakes the loop of an ESP32 before its tick"


def test_the_driver_takes_less_than_a_tenth_of_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = read_on_lock(monkeypatch, VirtualPn532(), [tap.phone()], [LICENCE])
    print("driver on the heap, bytes:", said["code"])
    assert said["code"] < 51200


@pytest.mark.parametrize("faults", [Faults(tear_off_at=9), Faults(tear_off_at=9, stuck=True)], ids=["torn", "stuck"])
def test_a_phone_torn_away_leaves_the_lock_ready_for_the_next(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    board = VirtualPn532(faults, traits=Traits(fwi=4))
    said, outcomes = read_on_lock(monkeypatch, board, [tap.phone()] * 2, [LICENCE] * 2, unhurried=True)
    assert said["taps"] == ["nfc.gone"] * 2
    assert [outcome.result for outcome in outcomes] == ["unfinished", "unfinished"]


def test_a_loop_that_is_elsewhere_for_longer_than_the_chip_takes_to_answer_hears_it_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, outcomes = read_on_lock(monkeypatch, VirtualPn532(looks_between=8), [tap.phone()], [], away=60, patience=40)
    assert said["taps"] == ["9000"] and outcomes[0].apdus == 1
