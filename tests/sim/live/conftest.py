"""Fixtures for the tests of the live page: for each module a page, a browser, and listeners that hear what happens."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Window, running
from tests.support.live_feed import Feed
from tests.support.live_http import Listener, LivePage, live_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Opener = Callable[..., Window]


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> Iterator[LivePage]:
    """The page of a real site, which this module's tests share. SITE in the module has the arguments of `live_page`."""
    with live_page(**request.module.SITE) as shown:
        yield shown


@pytest.fixture
def heard(page: LivePage) -> Iterator[Listener]:
    """A browser's connection to the stream of that page."""
    listener = page.listen()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """The browser of this module's tests. While the browser runs, no test of the module may run an event loop of its
    own.
    """
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
