"""A real browser for the tests of the live page: Chromium, headless, driven by Playwright.

Playwright's own browsers are never downloaded. Where Playwright or Chromium is missing, tests are skipped. In
continuous integration, the tests fail instead.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from sim.hang import HANG_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

MISSING = "no browser, so the live page is not tested: it needs Playwright and, on Debian, chromium-headless-shell"
_PROGRAMS = (
    "chromium-headless-shell",
    "chromium",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = (1280, 800), (390, 844)
"""Sizes of a window in pixels: that of a small laptop, and that of a phone."""
HANG_MS = HANG_SECONDS * 1000
"""Longest wait for an element or an event. The error names what was awaited."""


def program() -> str | None:
    """Return the path of the browser, or None if Playwright or the browser is missing."""
    if find_spec("playwright") is None:
        return None
    return next((path for name in _PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def running() -> Iterator["Browser"]:
    """Run the browser. Where there is no browser, the test is skipped. In continuous integration, the test fails
    instead.
    """
    found = program()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox does not work for root, and these pages are our own.
    options = [*_OPTIONS, "--no-sandbox"] if os.geteuid() == 0 else list(_OPTIONS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=options, timeout=HANG_MS)
        yield browser
        browser.close()


class Window:
    """A window of the browser. The window remembers every request, and every error that the page or the browser
    reports.

    `calm` asks the page for less motion. `script` runs before the scripts of the page. `locale` is the
    language that the browser asks for.
    """

    def __init__(
        self,
        browser: "Browser",
        size: tuple[int, int] = WIDE,
        scheme: Any = "light",
        calm: bool = False,
        script: str | None = None,
        locale: str = "en-GB",
    ) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page: Page = browser.new_page(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            locale=locale,
            reduced_motion="reduce" if calm else "no-preference",
        )
        self.page.set_default_timeout(HANG_MS)
        if script is not None:
            self.page.add_init_script(script)
        self.page.on("request", self._requested)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _requested(self, request: "Request") -> None:
        self.requests.append(request.url)

    def _said(self, message: "ConsoleMessage") -> None:
        # The browser reports each answer that is not 2xx, and each connection that breaks. The page has to handle both
        # cases.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def strayed(self) -> list[str]:
        """Return the requests that left this machine."""
        return [url for url in self.requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]

    def complaints(self) -> list[str]:
        """Return what axe finds: the rule, and the first element that breaks it."""
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]

    def close(self) -> None:
        """Close the window."""
        self.page.context.close()
