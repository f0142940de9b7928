"""The whole system: every scenario on the real interpreter, and the commands that people and CI use."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import TransportError
from sim.board.interpreter import ROOT
from sim.progress import WIDTH
from sim.scenarios import Result, perform, stories
from sim.scenarios.story import Script, Story


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sim", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def run(story: Story, seed: int = 1, runtime: str = "micropython", folder: Path | None = None) -> Result:
    return asyncio.run(perform(story, seed, runtime, folder))


EXPECTED: dict[str, tuple[int, int] | None] = {
    # (openings, records) after each scenario. None means that the numbers depend on the seed.
    "first-checkin": (1, 1),
    "two-guests": (2, 2),
    "stranger": (0, 0),
    "tampered": (1, 1),
    "expired": (0, 0),
    "replayed": (1, 1),
    "network-outage": (3, 3),
    "couple-and-child": (5, 5),
    "overbooked": (5, 5),
    "suspended-listing": (5, 5),
    "cancelled-stay": (3, 3),
    "revoked-issuer": (2, 2),
    "revoked-document": (3, 3),
    "stale-trust": (4, 4),
    "national-suite": (2, 2),
    "tamper": (1, 1),
    "pin-after-checkin": (4, 4),
    "pin-guessing": (2, 2),
    "cold-start": (5, 5),
    "clock-rollback": (4, 4),
    "journal-full": None,  # how soon the journal is full depends on how many events the lock records meanwhile
    "stuck-loop": (2, 2),
    "brown-out": (2, 2),
    "reader-fault": (1, 1),
    "nfc-static": (2, 2),
    "nfc-negotiated": (2, 2),
    "ble-server": (2, 2),
    "ble-central": (2, 2),
    "two-phones": (3, 3),
    "two-doors": (6, 6),
    "tear-off": None,
    "noisy-air": None,
    "power-cut": None,
    "power-cut-everywhere": None,
}


def test_every_scenario_says_what_it_must_leave() -> None:
    assert EXPECTED.keys() == stories.keys()


@pytest.mark.parametrize("name", list(stories))
def test_a_scenario_keeps_its_promises(name: str) -> None:
    result = run(stories[name])
    broken = [str(promise.claim) for promise in result.promises if not promise.held]
    assert result.ok, (broken, result.error)
    assert result.lock_runtime.startswith("micropython 1.")
    assert (result.receipts, result.duplicates) == (result.records, 0)
    claims = [str(promise.claim) for promise in result.promises]
    assert sorted(set(claims)) == sorted(claims), "a promise is told twice"
    assert all(taken >= 0 for taken in result.phases_ms.values())
    assert (result.opened, result.records) == EXPECTED[name] or (EXPECTED[name] is None and result.opened > 0)


def test_the_same_firmware_serves_a_check_in_on_cpython() -> None:
    result = run(stories["first-checkin"], runtime="cpython")
    assert result.ok, (result.promises, result.error)
    assert result.lock_runtime.startswith("cpython 3.")


def test_a_broken_promise_is_not_ok() -> None:
    async def play(script: Script) -> None:
        script.promise("the door opened", script.door.findings.openings() == 1)

    assert not run(Story("nothing-happens", "nobody taps", play)).ok


def test_a_story_that_goes_wrong_is_not_ok() -> None:
    async def play(script: Script) -> None:
        script.promise("all is well so far", True)
        raise TransportError("test.lost", "the phone fell into the lake")

    result = run(Story("falls-apart", "something breaks", play))
    assert not result.ok
    assert result.error is not None and result.error.startswith("test.lost")


def test_a_story_without_promises_is_not_ok() -> None:
    async def play(script: Script) -> None:
        script.site.folder.joinpath("lock.log").write_text("")

    result = run(Story("silent", "claims nothing", play))
    assert (result.ok, result.error) == (False, "silent promises nothing of its own")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Return the output of a run, and the folder that the run kept."""
    folder = tmp_path_factory.mktemp("kept")
    return command("run", "first-checkin", "--json", "--seed", "5", "--keep", str(folder)), folder


FREE_AT_READY = 98_000
"""Bytes of heap that must be free when a lock is ready. In most runs, 99,296 bytes are free. In some runs, 1,300 bytes
fewer are free: a word on the stack looks like the address of an object, and so the collector keeps this object.

This is what nothing has taken yet. The buffer for requests and responses (6,144 bytes) and the names of remembered
signatures (1,024 bytes) are taken by then, so that a visit finds them.
"""


def test_a_lock_that_is_ready_has_heap_for_a_tap(kept: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    words = (kept[1] / "door-1" / "lock.log").read_text().split(" lock.ready ")[1].split()
    free = dict(word.split("=", 1) for word in words if "=" in word)["heap"]
    assert int(free) >= FREE_AT_READY


def test_run_prints_one_json_object_last_and_exits_0(kept: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = kept
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert {"scenario", "ok", "opened", "records", "receipts", "duplicates", "lock_runtime", "phases_ms"} <= said.keys()
    assert (said["scenario"], said["ok"], said["opened"], said["records"]) == ("first-checkin", True, 1, 1)
    assert said["phases_ms"]["tap_to_open"] > 0


def test_an_unknown_scenario_is_named_and_exits_2() -> None:
    done = command("run", "no-such-story")
    assert done.returncode == 2
    assert "no-such-story" in done.stderr and "Traceback" not in done.stderr


def test_list_names_every_scenario_with_what_it_tells() -> None:
    done = command("list")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert [name for name, story in stories.items() if f"{name} {story.tells}" not in told] == []
    assert max(map(len, done.stdout.splitlines())) <= WIDTH
    assert [item["name"] for item in json.loads(command("list", "--json").stdout)["scenarios"]] == list(stories)
