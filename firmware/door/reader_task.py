"""The reader's task: one phone after the other to the door, and a word to those who come in between.

A read that goes on over BLE lets its phone go, and the reader is free while it lasts. Who is held to it then is told
that the door is busy; the guest being served does not notice. But a phone that was engaged for BLE and has not come yet
(State = 01) holds nobody up: the next one at the reader takes its place at once, and its offer is dropped.
"""

import asyncio

from firmware.hardware.console import log
from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.door.door import Door
    from firmware.hardware.signals import Signals
    from firmware.nfc import Card, CardReader


WELL_MS = 15000
"""A reader chip that has not complained for so long is well again: longer than a driver rests between two attempts."""


class _Held:
    """The card at the reader, as the door has it, and whether it has been let go."""

    def __init__(self, card: "Card") -> None:
        self.max_command = card.max_command
        self.max_response = card.max_response
        self.no_mdoc = self.waits = False
        self.free = asyncio.Event()
        self._flag = asyncio.Event()
        self._flag.set()
        self._card = card

    async def transceive(self, command: bytes, timeout_ms: int = 1000) -> bytes:
        """See `firmware.nfc.Card`."""
        self._flag.clear()
        try:
            return await self._card.transceive(command, timeout_ms)
        finally:
            self._flag.set()

    async def release(self) -> None:
        """See `firmware.nfc.Card`. A session's last word may be under way: the door waits for no answer to it."""
        await self._flag.wait()
        self._card.no_mdoc = self.no_mdoc
        await self._card.release()
        self.free.set()


async def serve(reader: "CardReader", door: "Door", signals: "Signals") -> None:
    """Serve for ever. `door.tap` must not raise."""
    tap: asyncio.Task[None] | None = None
    held: _Held | None = None
    troubled, rest = False, "idle"

    def obstructed(there: bool) -> bool:
        nonlocal rest
        if troubled or (tap is not None and not tap.done()):
            return False  # the light is somebody else's
        rest = "obstructed" if there else "idle"
        signals.show(rest)
        if there:
            door.obstructed()
        return True

    reader.on_obstructed = obstructed
    signals.show("idle")
    while True:
        elsewhere = tap is not None and not tap.done()
        try:
            wait = reader.wait_for_card()
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
        if held is not None and held.waits and tap is not None and not tap.done():
            # Of two phones the one that is here counts, and not the one that has not come.
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
        held = _Held(card)
        tap = asyncio.create_task(_tap(door, held))
        await held.free.wait()


async def _tap(door: "Door", card: "_Held") -> None:
    try:
        await door.tap(card)
    finally:
        await card.release()
