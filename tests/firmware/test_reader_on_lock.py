"""The reader on the lock's own interpreter, heap and cryptography, with the phone at the other end of the UART."""

import asyncio
import threading
import time
from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol.mdoc.verifier import verify
from sim import issuer
from sim.phone.applet import Habits
from sim.phone.bridge import Bridge
from sim.phone.phone import Phone, TapOutcome
from tests import tap
from tests.on_lock import run_on_lock

READ = """
import asyncio, gc
from machine import UART
from firmware import crypto
from firmware.nfc.apdu_bridge import ApduBridge
from firmware.reader import read_mdoc
from protocol.errors import MooringError

chain = [bytes.fromhex(der) for der in given["chain"]]

async def tap(reader, items):
    card = await reader.wait_for_card()
    try:
        shown = await read_mdoc(card, crypto, items, bytes.fromhex(given["private"]), chain)
        return [shown.device_response.hex(), shown.session_transcript.hex(), shown.reader_private.hex()]
    except MooringError as error:
        return error.code
    finally:
        await card.release()

async def main():
    reader = ApduBridge(UART(1, 115200))
    said = []
    for items in given["taps"]:
        said.append(await tap(reader, items))
    answer(said)

asyncio.run(main())
"""


def read_on_lock(
    monkeypatch: pytest.MonkeyPatch, phones: list[Phone], items: list[dict[str, dict[str, list[str]]]], **tapping: Any
) -> tuple[list[Any], list[TapOutcome]]:
    """What the lock says of each tap, and what each phone says of it."""
    bridge = Bridge()
    listening = threading.Event()
    outcomes: list[TapOutcome] = []
    address = ""

    async def guests() -> None:
        nonlocal address
        address = await bridge.start()
        listening.set()
        for phone in phones:
            outcomes.append(await phone.tap(bridge, **tapping))
        await bridge.stop()

    thread = threading.Thread(target=asyncio.run, args=(guests(),), daemon=True)
    thread.start()
    listening.wait()
    monkeypatch.setenv("MOORING_UART1", address)
    private = tap.reader_key()[0].hex()
    given = {"taps": items, "private": private, "chain": [der.hex() for der in tap.reader_chain()]}
    said = run_on_lock(READ, given, timeout=60)
    thread.join()
    return said, outcomes


def elements(said: list[str]) -> dict[str, dict[str, Any]]:
    response, transcript, private = (bytes.fromhex(value) for value in said)
    now = int(time.time())
    (document,) = verify(
        crypto, response, transcript, [tap.iaca(issuer.MDL).der], now=(now, now), reader_private=private
    )
    return document.elements


def test_the_lock_reads_phone_after_phone_whatever_their_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    licence = {issuer.MDL: tap.ITEMS[issuer.MDL]}
    large = {issuer.MDL: {"org.iso.18013.5.1": ["portrait"]}}
    phones = [
        tap.phone(),
        tap.phone(authentication="mac"),
        tap.phone(habits=Habits(max_read=15, max_command=255, max_response=256, chunk=100, ignore_le=True)),
        tap.phone(tap.credential(issuer.MDL, portrait=7500)),
        tap.phone(reader_roots=[]),
        tap.phone(tamper="session-data"),
    ]
    said, outcomes = read_on_lock(monkeypatch, phones, [licence, licence, licence, large, licence, licence])
    asked = licence[issuer.MDL]["org.iso.18013.5.1"]
    for shown in said[:3]:
        assert sorted(elements(shown)["org.iso.18013.5.1"]) == asked
    assert len(elements(said[3])["org.iso.18013.5.1"]["portrait"]) == 7500
    assert said[4:] == ["session.declined", "session.encryption"]
    assert [outcome.result for outcome in outcomes] == [*["presented"] * 4, "unknown-reader", "presented"]
    assert [outcome.status for outcome in outcomes] == [20, 20, 20, 20, None, 10]
    assert outcomes[0].reader == "TEST door"


@pytest.mark.parametrize("after", [0, 5, 7])
def test_a_phone_torn_away_leaves_the_lock_ready_for_the_next(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    items = [{issuer.MDL: tap.ITEMS[issuer.MDL]}]
    said, outcomes = read_on_lock(monkeypatch, [tap.phone()] * 2, items * 2, tear_off_after=after)
    assert said == ["nfc.gone", "nfc.gone"]
    assert [outcome.apdus for outcome in outcomes] == [after, after]
