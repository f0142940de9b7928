"""The reader's task. This task passes one phone after the other to the door, and answers people who tap while another
phone is served.

While a phone is read over BLE, the reader is free. If somebody else taps in that time, a signal says that the door is
busy. The read of the first phone goes on.

While a card is at the reader, the task does not look for another card. `Door.waiting` is True in the state "waits for
the phone":

    state                        event                       what happens                    next state
    free                         a card comes                a tap begins                    at the reader
    at the reader                the tap is over             the card is released            free
    at the reader                handover to BLE             the card is released            waits for the phone
    waits for the phone          the phone connects          the read goes on                read over BLE
    waits for the phone          another card comes          this tap is cancelled,          at the reader
                                                               and a new one begins
    read over BLE                another card comes          it is told "busy", released     read over BLE
    waits, or read over BLE      the tap is over             -                               free

A phone that was engaged for BLE but has not connected yet must not block the door. So the next phone at the reader
takes the first phone's place, and the lock stops waiting for the first phone.
"""

import asyncio

from firmware.hardware.console import log
from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.door.door import Door
    from firmware.hardware.signals import Signals
    from firmware.nfc import Card, CardReader, Sink


WELL_MS = 15000
"""After this time without an error, the reader counts as recovered. The pause of a driver between two tries is shorter
than this time.
"""


class _TappedCard:
    """A card at the reader, for as long as the door uses the card. `free` is set when the card has been released."""

    def __init__(self, card: "Card") -> None:
        self.max_command = card.max_command
        self.max_response = card.max_response
        self.free = asyncio.Event()
        self._flag = asyncio.Event()
        self._flag.set()
        self._card = card

    async def transceive(
        self, command: "bytes | memoryview", timeout_ms: int = 1000, sink: "Sink | None" = None
    ) -> bytes:
        """See `firmware.nfc.Card`."""
        self._flag.clear()
        try:
            return await self._card.transceive(command, timeout_ms, sink)
        finally:
            self._flag.set()

    def pass_over(self) -> None:
        """See `firmware.nfc.Card`."""
        self._card.pass_over()

    async def release(self) -> None:
        """See `firmware.nfc.Card`. If a command is under way, this method first waits for its end. The last message of
        a session may still be on its way, because the door does not wait for it."""
        await self._flag.wait()
        await self._card.release()
        self.free.set()


async def serve(reader: "CardReader", door: "Door", signals: "Signals") -> None:
    """Serve for ever. `door.tap` must not raise."""
    tap: asyncio.Task[None] | None = None
    troubled, rest = False, "idle"

    def obstructed(there: bool) -> bool:
        nonlocal rest
        if troubled or (tap is not None and not tap.done()):
            return False  # the light shows something else now; the reader will ask again
        rest = "obstructed" if there else "idle"
        signals.show(rest)
        if there:
            door.obstructed()
        return True

    signals.show("idle")
    while True:
        elsewhere = tap is not None and not tap.done()
        try:
            wait = reader.wait_for_card(obstructed)
            card = await (asyncio.wait_for(wait, WELL_MS / 1000) if troubled else wait)
        except TransportError as error:
            log("reader.trouble", code=error.code)
            if error.code == "nfc.collision":
                signals.aside("busy")
            elif not troubled:
                troubled = True
                if not elsewhere:
                    signals.show("fault")
            continue
        except asyncio.TimeoutError:
            log("reader.well")
            troubled = False
            if not elsewhere:
                signals.show(rest)
            continue
        if door.waiting and tap is not None and not tap.done():
            log("tap.superseded")
            tap.cancel()
            try:
                await tap
            except asyncio.CancelledError:
                pass
        if tap is not None and not tap.done():
            log("tap.busy")
            signals.aside("busy")
            await card.release()
            continue
        tapped = _TappedCard(card)
        tap = asyncio.create_task(_tap(door, tapped))
        await tapped.free.wait()


async def _tap(door: "Door", card: "_TappedCard") -> None:
    try:
        await door.tap(card)
    finally:
        await card.release()
