"""The reader's task with a whole door, on virtual time, and a log of what a guest can see of the door."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from firmware.door.reader_task import serve
from sim.nfc.virtual_pn532 import VirtualPn532
from tests.support import pn532_scene as scene
from tests.support.doorway import Doorway, Outputs

READY_SECONDS = 0.3


class Seen(Outputs):
    """A log of what a guest can see of the door. `times` holds the virtual time of each entry in `done`, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.at_the_light: Callable[[], None] = lambda: None

    def _note(self, what: str) -> None:
        self.done.append(what)
        self.times.append(scene.now())

    def open(self) -> None:
        self._note("open")

    def show(self, name: str, after_ms: int = 0, sound: bool = True) -> None:
        when = f"in {after_ms / 1000} seconds " if after_ms else "show "
        self._note(when + name + ("" if sound else " in silence"))

    def answer(self, name: str) -> None:
        self._note("answer " + name)
        self.at_the_light()

    def aside(self, name: str) -> None:
        self._note("aside " + name)

    def place(self, what: str, after: int = 0) -> int | None:
        """Return the index of the first entry `what` in `done`. The search begins at the index `after`.

        An index is more exact than a time, because several entries may have the same time.
        """
        return next((at for at in range(after, len(self.done)) if self.done[at] == what), None)


class Scene:
    """A door in service, and its reader."""

    def __init__(self, doorway: Doorway, board: VirtualPn532) -> None:
        self.doorway = doorway
        self.board = board
        assert isinstance(doorway.outputs, Seen)
        self.seen: Seen = doorway.outputs

    async def answered(self, after: int = 0) -> str:
        """Wait for the final light of a tap, at index `after` or later, and return it."""
        lights: list[str] = []
        while not lights:
            await asyncio.sleep(0.005)
            lights = [what for what in self.seen.done[after:] if what.startswith("answer ")]
        return lights[0]

    async def until(self, what: str, after: int = 0) -> int:
        """Wait until `what` is in the log, at index `after` or later, and return its index."""
        await scene.until(lambda: self.seen.place(what, after) is not None)
        found = self.seen.place(what, after)
        assert found is not None
        return found


def play(
    tmp_path: Path,
    monkeypatch: Any,
    story: Callable[[Scene], Awaitable[None]],
    seconds: float = 600,
    mdoc_ble: Any = None,
    **settings: Any,
) -> None:
    doorway = Doorway(tmp_path, monkeypatch)
    doorway.outputs = Seen()
    doorway.mdoc_ble = mdoc_ble
    doorway.reboot()

    async def scenery() -> None:
        async with scene.reader(settings.pop("faults", None), **settings) as (reader, board):
            serving = asyncio.create_task(serve(reader, doorway.door, doorway.outputs))  # type: ignore[arg-type]
            await story(Scene(doorway, board))
            assert not serving.done()
            serving.cancel()

    scene.run(scenery(), seconds)
