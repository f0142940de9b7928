"""Number of taps that each kind of wallet needs to open a whole door. It must agree with docs/door-rules.md."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import TransportError
from protocol.profile import Profile
from sim.board.interpreter import ROOT
from sim.phone.applet import Habits, Wallet
from sim.phone.phone import FOREVER, Phone
from sim.province.registry import PROFILES
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.ble_wire import BleWire, lock_on
from tests.support.doorway import Doorway

TYPES = [doc_type for (doc_type,) in Profile.parse(PROFILES["CN"]).requests]
WALLETS: tuple[Wallet, ...] = ("open", "closes", "throws", "silent")
MOST = 8


def table() -> list[list[int]]:
    """Return the table in docs/door-rules.md. The rows follow WALLETS, and the columns follow the order of requests."""
    page = (ROOT / "docs/door-rules.md").read_text(encoding="utf-8")
    section = page.split("## What a phone is asked for")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .* \d \|$", section, re.M)
    return [[int(cell) for cell in re.findall(r"\| (\d)(?= \|)", row)] for row in rows]


class Silent(tap.DirectCard):
    """A card whose phone may never answer."""

    def __init__(self, phone: Phone) -> None:
        self.transaction = phone.touch()
        super().__init__(self.transaction.process)

    async def transceive(self, command: bytes | memoryview, timeout_ms: int = 1000, sink: Any = None) -> bytes:
        response = await super().transceive(command, timeout_ms, sink)
        if self.transaction.thinking >= FOREVER:
            await asyncio.sleep(timeout_ms / 1000)
            raise TransportError("nfc.timeout", "the card says nothing")
        return response


async def taps(doorway: Doorway, phone: Phone) -> int:
    """Return the number of taps that `phone` needs until the door opens."""
    for number in range(1, MOST):
        card = Silent(phone)
        doorway.outputs.done.clear()
        tapping = asyncio.create_task(doorway.door.tap(card))
        if phone.ble_modes:
            await scene.until(lambda card=card: card.released)  # type: ignore[misc]  # bound
            await phone.go_on(card.transaction)
        await tapping
        if doorway.opened():
            return number
    return MOST


@pytest.mark.parametrize("carrier", ["nfc", "ble"])
def test_the_page_says_in_how_many_taps_each_wallet_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carrier: str
) -> None:
    wire = BleWire()
    doorway = Doorway(tmp_path, monkeypatch)
    doorway.trust_all()
    guests = [doorway.visitor(doc_type) for doc_type in TYPES]
    doorway.book(*guests)

    async def row(wallet: Wallet) -> list[int]:
        counted = []
        for guest in guests:
            phone = tap.phone(guest.credential, habits=Habits(wallet=wallet))
            if carrier == "ble":
                phone.nfc, phone.ble_modes, phone.radio = False, frozenset({"central"}), wire
            counted.append(await taps(doorway, phone))
        return counted

    async def story() -> list[list[int]]:
        return [await row(wallet) for wallet in WALLETS]

    with lock_on(wire, monkeypatch) as mdoc_ble:
        doorway.mdoc_ble = mdoc_ble
        doorway.reboot()
        counted = scene.run(story(), 7200)
    assert counted == table()
