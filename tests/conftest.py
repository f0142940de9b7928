"""Shared settings of all tests: the effort of property tests, and the programs that this run has found and uses."""

import gc
import os
import shutil
import signal
from collections.abc import Generator

import hypothesis
import pytest

from edge_agent.counted import counted
from protocol.errors import ConfigError
from sim.board import interpreter
from tests.support import browser
from tests.support.hanging import limited

# Derandomized: the same tree gives the same answer everywhere. `make fuzz` looks further afield.
hypothesis.settings.register_profile("default", max_examples=50, derandomize=True, deadline=None)
hypothesis.settings.register_profile("long", max_examples=2000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    """Let the tests' programs react to Ctrl-C. A program that a script starts with `&` ignores Ctrl-C, and so do the
    program's children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Names the interpreter that will run the lock, the broker that was found besides the embedded broker, and the
    browser.
    """
    try:
        found = interpreter.find()
        lock = f"{found}, {found.program}"
    except ConfigError as missing:
        lock = f"no interpreter: {missing.message}"
    mosquitto = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return [
        f"lock: {lock}",
        f"mosquitto: {mosquitto or 'not found; the embedded broker alone is tested'}",
        f"browser: {browser.program() or browser.MISSING}",
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells how many tests were skipped because there is no browser."""
    skipped = [one for one in terminalreporter.stats.get("skipped", []) if browser.MISSING in str(one.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{browser.MISSING} ({counted(len(skipped), 'test')} skipped)", yellow=True)


def pytest_collection_finish() -> None:
    """Exempt all imports from garbage collection, because the lock's software collects garbage at each tap."""
    gc.collect()
    gc.freeze()


def _limit(item: pytest.Item) -> float:
    """Return the seconds that a test, its setup or its teardown may take. After `faulthandler_timeout` the whole run
    would end.
    """
    return 0.7 * float(str(item.config.getini("faulthandler_timeout")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Ends a setup that hangs, and names the line that waits."""
    with limited(_limit(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Ends a test that hangs, and names the line that waits."""
    with limited(_limit(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Ends a teardown that hangs, and names the line that waits."""
    with limited(_limit(item)):
        return (yield)
