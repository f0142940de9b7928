"""Makes the pictures of the live page in docs/: `python -m tests.sim.live.pictures`.

A real site is run, and a guest checks in. The pictures show the page while the door is open and the receipt is back.
Look at the pictures before you commit them.
"""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sim.board.interpreter import ROOT
from tests.support import browser, live_site
from tests.support.browser import Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURES = {"en": ROOT / "docs/live.png", "zh": ROOT / "docs/live.zh.png"}
SIZE = (1120, 1000)
LARGEST = 200_000
"""Maximum number of bytes of a picture."""
COLOURS = 128

# The page is held still at a moment: the act is over, the door is green, and the receipt is back at the lock. On a busy
# machine, the receipt may come only after the door has shut. Then the command waits in vain, and ends.
_HOLD = "window.EventSource = class extends EventSource { constructor(place) { super(place); window.line = this; } };"
_STILL = """() => {
  const green = document.querySelector('#scene[data-colour="green"][data-strike="open"]');
  const over = document.querySelector('[data-act="stranger"][aria-disabled="false"]');
  if (!green || !over || !document.querySelector('#stations[data-receipt="lock"]')) return false;
  window.line.close();
  return true;
}"""


def stored(window: Window, place: Path) -> None:
    """Store a picture of the window's page, down to the end of the timeline."""
    from PIL import Image

    end = window.page.locator("section.timeline").evaluate("one => Math.ceil(one.getBoundingClientRect().bottom) + 6")
    width = window.page.viewport_size["width"] if window.page.viewport_size else SIZE[0]
    window.page.set_viewport_size({"width": width, "height": end})
    taken = Image.open(io.BytesIO(window.page.screenshot()))
    made = io.BytesIO()
    taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
    if made.tell() > LARGEST:
        raise SystemExit(f"picture.size: {place.name} has {made.tell()} bytes. Use fewer colours or a smaller window.")
    place.write_bytes(made.getvalue())
    print(f"{place.relative_to(ROOT)}: {made.tell()} bytes")


def caught(found: "Browser", address: str, language: str, person: str) -> Window:
    """Let a guest check in at a door, and hold the page still while the door is open. The window stays open."""
    window = Window(found, size=SIZE, script=_HOLD)
    window.page.goto(address)
    window.page.click(f'[data-language="{language}"]')
    live_site.free(window.page)
    window.page.click(live_site.guest(person))
    window.page.wait_for_function(_STILL, polling=20, timeout=60_000)
    return window


def main() -> int:
    """Make all pictures. Returns the exit code."""
    with browser.running() as found, live_site.running() as address:
        english = caught(found, address, "en", "guest-1")
        stored(english, PICTURES["en"])
        chinese = caught(found, address, "zh", "guest-2")
        stored(chinese, PICTURES["zh"])
        for window in (english, chinese):
            window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
