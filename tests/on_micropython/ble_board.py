"""In the BLE tests, MicroPython runs this program with the real reader and radio. The link is a class that echoes
messages.

The program serves taps for ever and prints a line of JSON for each tap. `MOORING_TEST_READER` names a file with the
reader's key and certificate chain, and with the items to ask for.
"""

import asyncio
import json
import os
import sys
import time

import bluetooth
from machine import UART

import firmware.mdoc_ble.session
import firmware.mdoc_reader.reader
from firmware import crypto
from firmware.door.reader_task import serve
from firmware.hardware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, Radio
from firmware.mdoc_ble import MdocBle
from firmware.mdoc_ble.server import service
from firmware.nfc.hsu import Hsu
from firmware.nfc.pn532 import Pn532Reader
from protocol.errors import MooringError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.nfc import Card

SERVICE = "4d6f6f72-0000-0000-0000-0000000000e0"
ECHO = "4d6f6f72-0000-0000-0000-0000000000e1"
FLAGS = b"\x02\x01\x06"


class EchoLink:
    """A replacement for the link, which uses the radio in the same way as `firmware.link.edge_link`."""

    def __init__(self, radio: Radio) -> None:
        self.radio = radio
        self.due = asyncio.Event()
        self.handle = 0
        self.heard: list[tuple[int, bytes]] = []
        self.comings = self.goings = 0

    def start(self) -> None:
        self.radio.irq(self.on_event)
        self.radio.active(True)
        self.radio.config(gap_name="Mooring")
        flags = bluetooth.FLAG_WRITE | bluetooth.FLAG_NOTIFY
        ((self.handle,),) = self.radio.gatts_register_services(
            ((bluetooth.UUID(SERVICE), ((bluetooth.UUID(ECHO), flags),)),)
        )
        self.radio.gatts_set_buffer(self.handle, 512)
        self.due.set()

    def on_event(self, event: int, data: "Any") -> None:
        if event == GATTS_WRITE:
            self.heard.append((data[0], self.radio.gatts_read(self.handle)))
        elif event == CENTRAL_CONNECT:
            self.comings += 1
        elif event == CENTRAL_DISCONNECT:
            self.goings += 1
        self.due.set()

    async def run(self) -> None:
        while True:
            await self.due.wait()
            self.due.clear()
            while self.heard:
                connection, value = self.heard.pop(0)
                try:
                    self.radio.gatts_notify(connection, self.handle, value)
                except OSError:
                    say(echo="lost")
            self.radio.gap_advertise(200000, FLAGS)


def say(**facts: "Any") -> None:
    print(json.dumps(facts))


class Door:
    """Reads a card and prints the result."""

    def __init__(self, mdoc_ble: MdocBle, given: "dict[str, Any]") -> None:
        self.mdoc_ble = mdoc_ble
        self.given = given
        self.chain = [bytes.fromhex(der) for der in given["chain"]]
        self.waiting = False

    async def tap(self, card: "Card") -> None:
        marks: dict[str, Any] = {}
        self.waiting = False

        def on_phase(event: str, **facts: "Any") -> None:
            marks[event] = facts
            if event in ("ble.waiting", "ble.started"):
                self.waiting = event == "ble.waiting"
            say(mark=event)

        items, private = self.given["items"], bytes.fromhex(self.given["private"])
        # Pass the arguments by position. If the firmware never passes a parameter by name, its name is shortened in the
        # compiled modules.
        reading = firmware.mdoc_reader.reader.Reading(card, crypto, None, on_phase, self.mdoc_ble)
        began = getattr(time, "ticks_ms")()  # noqa: B009  only this runtime has this function
        try:
            shown = await reading.ask(items, private, self.chain)
            said: Any = [shown.device_response.hex(), shown.session_transcript.hex(), shown.e_reader_private.hex()]
        except MooringError as error:
            said = error.code
        await reading.close()
        say(read=said, marks=marks, ms=getattr(time, "ticks_ms")() - began)  # noqa: B009


async def limit() -> None:
    """Read lines of JSON from stdin, and change constants of `firmware.mdoc_ble.session` accordingly. The value null
    restores the original value of a constant."""
    own: dict[str, int] = {}
    lines = asyncio.StreamReader(sys.stdin)  # type: ignore[arg-type]  # MicroPython's takes a stream
    while line := await lines.readline():
        for name, value in json.loads(line).items():
            own.setdefault(name, getattr(firmware.mdoc_ble.session, name))
            setattr(firmware.mdoc_ble.session, name, own[name] if value is None else value)
        say(limits=True)


class Lights:
    """Prints the signals that a guest would see."""

    def show(self, name: str, after_ms: int = 0, sound: bool = True) -> None:
        say(shows=name)

    def aside(self, name: str) -> None:
        say(aside=name)


async def main() -> None:
    with open(os.getenv("MOORING_TEST_READER") or "") as file:  # noqa: ASYNC230  before anything runs
        given = json.load(file)
    firmware.mdoc_reader.reader.PREFERRED_CARRIER = given.get("carrier", "nfc")
    hostile = os.getenv("MOORING_RADIO_HOSTILE")
    if hostile:
        from sim.board import hostile_radio

        hostile_radio.plant(int(hostile))
    radio = Radio(bluetooth.BLE(), service)
    mdoc_ble = MdocBle(radio)
    link = EchoLink(radio)
    link.start()
    echoing = asyncio.create_task(link.run())
    mending = asyncio.create_task(radio.mend())
    reader = Pn532Reader(Hsu(UART(1, 115200)))
    limiting = asyncio.create_task(limit())
    say(ready=True)
    await serve(reader, Door(mdoc_ble, given), Lights())  # type: ignore[arg-type]  # what `serve` uses of them
    echoing.cancel()
    mending.cancel()
    limiting.cancel()


if __name__ == "__main__":
    asyncio.run(main())
