"""`python -m sim live` tells its address, says what is missing, and ends with code 0 after Ctrl-C."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

import sim.__main__ as simulator
from sim.board.interpreter import ROOT
from sim.live.command import bound


def started(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sim", "live", "--port", "0", "--doors", "1", "--runtime", "cpython", *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_ends_without_a_word(number: signal.Signals) -> None:
    with started("--json") as process:
        assert process.stdout is not None and process.stderr is not None
        told = json.loads(process.stdout.readline())
        page, _, token = told["address"].partition("#")
        with urllib.request.urlopen(page) as answer:
            assert answer.status == 200
        stream = urllib.request.urlopen(page + "events")  # a page that is open does not delay the end
        assert stream.readline().startswith(b"id: ")
        process.send_signal(number)
        rest, errors = process.communicate()
        stream.close()
    assert (process.returncode, rest) == (0, "")
    # While the command builds the site, it says what it builds. Afterwards the command says nothing.
    first, *steps = errors.splitlines()
    assert first == "building the site …" and len(steps) >= 4
    assert [line for line in steps if not line.startswith("  ")] == []
    assert told["ok"] is True and len(token) >= 32


def test_an_act_that_the_end_of_the_command_cuts_short_is_told_with_a_code() -> None:
    # This story takes so long that it is not over before the signal, even if this test has to wait for its turn.
    with started("--json", "--story", "power-cut-everywhere") as process:
        assert process.stdout is not None
        page = json.loads(process.stdout.readline())["address"].partition("#")[0]
        with urllib.request.urlopen(page + "events") as stream:
            assert stream.readline().startswith(b"id: ")
            process.send_signal(signal.SIGINT)
            acts = [json.loads(line[6:]) for line in stream if line.startswith(b'data: {"act"')]
        process.communicate()
    assert (acts[-1]["state"], acts[-1]["code"]) == ("failed", "live.ended")


def test_ctrl_c_while_the_site_is_built_ends_it_too() -> None:
    with started() as process:
        assert process.stderr is not None
        assert "building" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate()
    assert (process.returncode, printed) == (130, "")
    *steps, last = errors.splitlines()
    assert last.startswith("interrupted: ") and [line for line in steps if not line.startswith("  ")] == []


def test_a_port_in_use_is_an_error_with_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    with bound(0) as taken:
        port = taken.getsockname()[1]
        assert simulator.main(["live", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("live.port: ") and "--port" in said and len(said.splitlines()) == 1
    with bound(port):  # it is free again
        pass


def test_the_port_is_bound_on_loopback() -> None:
    with bound(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1" and listening.family == socket.AF_INET


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_group_live_the_command_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert simulator.main(["live", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("live.packages: ") and package in said and "--group live" in said


def test_a_story_that_does_not_exist_is_refused_before_anything_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulator.main(["live", "--port", "0", "--story", "no-such-story"]) == 2
    assert capsys.readouterr().err.startswith("site.scenario: ")
