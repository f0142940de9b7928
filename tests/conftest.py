"""Shared settings of all tests: how hard property tests try, and which programs this run found to test with."""

import os
import shutil

import hypothesis
import pytest

from protocol.errors import ConfigError
from sim.board import interpreter

# Derandomized: the same tree gives the same answer everywhere. `make fuzz` looks further afield.
hypothesis.settings.register_profile("default", max_examples=50, derandomize=True, deadline=None)
hypothesis.settings.register_profile("long", max_examples=2000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header() -> list[str]:
    """Names the interpreter that will run the lock, and the broker found beside the embedded one."""
    try:
        found = interpreter.find()
        lock = f"{found}, {found.program}"
    except ConfigError as missing:
        lock = f"no interpreter: {missing.message}"
    mosquitto = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return [f"lock: {lock}", f"mosquitto: {mosquitto or 'not found; the embedded broker alone is tested'}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, each begins with a run of neighbours: scenarios, which take longest and
    wait most, are spread evenly among the others, so that no process is left with many of them at the end."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    scenarios = [item for item in items if item.path.name == "test_scenarios.py"]
    others = [item for item in items if item.path.name != "test_scenarios.py"]
    every = len(others) // (len(scenarios) + 1) + 1
    items.clear()
    for at, item in enumerate(others):
        if at % every == 0 and scenarios:
            items.append(scenarios.pop())
        items.append(item)
    items += scenarios
