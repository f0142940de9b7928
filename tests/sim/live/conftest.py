"""Fixtures for the tests of the live page: one browser for each module, and windows that watch what the page does."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Window, running
from tests.support.live_feed import Feed

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Opener = Callable[..., Window]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """The browser of this module's tests. While it runs, no test of the module may run an event loop of its own."""
    with running() as found:
        yield found


@pytest.fixture
def open_window(browser: "Browser") -> Iterator[Opener]:
    """Return a function that opens an address in a new window. No window may send a request off this machine or report
    an error.
    """
    opened: list[Window] = []

    def open_it(address: str, **settings: Any) -> Window:
        opened.append(Window(browser, **settings))
        opened[-1].page.goto(address)
        return opened[-1]

    yield open_it
    for window in opened:
        window.close()
    assert [url for window in opened for url in window.strayed()] == []
    assert [error for window in opened for error in window.errors] == []


@pytest.fixture
def feed() -> Iterator[Feed]:
    """A server that sends browsers the messages that the test writes."""
    with Feed() as playing:
        yield playing
