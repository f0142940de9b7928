"""The real live page: `python -m sim live` in a process of its own, with a whole site behind it."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sim.board.interpreter import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

NEWEST = "#taps [data-tap]:last-child"


@contextmanager
def running(*options: str) -> Iterator[str]:
    """Run the page with a site of two doors. Yields the page's address, with the token."""
    command = [sys.executable, "-m", "sim", "live", "--port", "0", "--doors", "2", "--json", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            yield str(json.loads(said)["address"])
        finally:
            process.terminate()
            process.wait()


def state(address: str, last: str = "stores") -> list[tuple[str, Any]]:
    """Return the messages that a new browser gets, up to the first message of the kind `last`."""
    found: list[tuple[str, Any]] = []
    with urllib.request.urlopen(address.partition("#")[0] + "events") as stream:
        kind = ""
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                found.append((kind, json.loads(value)))
                if kind == last:
                    return found
    raise AssertionError(f"the stream ended without {last}")


def free(page: "Page") -> None:
    """Wait until an act can begin at the shown door."""
    page.wait_for_selector('[data-act="stranger"][aria-disabled="false"]')


def tapped(page: "Page", button: str) -> str:
    """Press a button that brings somebody to the shown door. Returns the outcome, as the server calls it."""
    chips = page.locator("#taps [data-tap]")
    before = int(chips.last.get_attribute("data-tap") or 0) if chips.count() else -1
    page.click(button)
    page.wait_for_function(
        """before => {
          const newest = [...document.querySelectorAll("#taps [data-tap]")].at(-1);
          return newest && Number(newest.dataset.tap) > before && newest.dataset.outcome;
        }""",
        arg=before,
    )
    free(page)
    return str(page.locator(NEWEST).get_attribute("data-outcome"))


def witness(page: "Page", selector: str, attribute: str | None = None) -> None:
    """Begin to remember each value of an attribute. Without `attribute`, remember each text of the element. `saw` asks
    for one.

    So a test does not miss what is shown only for a moment.
    """
    page.evaluate(
        """([selector, attribute]) => {
          const watched = document.querySelector(selector);
          window.witnessed = {...window.witnessed, [selector]: []};
          const look = (changes) => {
            const values = changes.map((one) => one.oldValue);
            witnessed[selector].push(...values, attribute ? watched.getAttribute(attribute) : watched.textContent);
          };
          new MutationObserver(look).observe(watched, attribute
            ? {attributeFilter: [attribute], attributeOldValue: true}
            : {childList: true, characterData: true, subtree: true});
        }""",
        [selector, attribute],
    )


def saw(page: "Page", selector: str, value: str) -> None:
    """Wait until a witness has seen a value that contains `value`."""
    page.wait_for_function(
        "([selector, value]) => witnessed[selector].some((one) => (one ?? '').includes(value))", arg=[selector, value]
    )


def guest(person: str) -> str:
    """Return the selector of the button with which a guest taps."""
    return f'[data-act="tap"][data-person="{person}"]'
