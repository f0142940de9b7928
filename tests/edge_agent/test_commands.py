"""The commands as an operator uses them: exit codes, JSON, signals, systemd."""

import contextlib
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent import config, status, typed
from edge_agent.__main__ import main
from edge_agent.notify import Notifier
from edge_agent.outbox import Outbox
from sim.broker import Broker
from sim.hang import HANG_SECONDS
from sim.ports import ReservedPort
from tests.support.closed import closed
from tests.support.signing_lock import PROVINCE_PUBLIC, SigningLock

KEY = PROVINCE_PUBLIC.hex()

NO_BROKER = ReservedPort()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [name for name in os.environ if name.startswith("MOORING_EDGE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MOORING_EDGE_STATE_DIR", str(tmp_path / "state"))
    path = tmp_path / "edge.toml"
    mqtt, locks = f"[mqtt]\nport = {NO_BROKER.port}\n", '[locks]\naddresses = ["AA:BB:CC:DD:EE:01"]\n'
    path.write_text(f'province_public_key = "{KEY}"\nstate_dir = "{tmp_path / "state"}"\n{mqtt}{locks}')
    return path


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the JSON object in the last line of stdout."""
    content: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return content


def test_config_prints_what_check_config_accepts_once_the_provinces_key_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOORING_EDGE_STATE_DIR", str(tmp_path / "state"))
    assert main(["config"]) == 0
    path, printed = tmp_path / "printed.toml", capsys.readouterr().out
    path.write_text(printed)
    assert main(["check-config", "--config", str(path), "--json"]) == 2
    error = said(capsys)["error"]
    assert error["code"] == "config.value" and error["message"].startswith('province_public_key = "" ')
    path.write_text(printed.replace('province_public_key = ""', f'province_public_key = "{KEY}"'))
    assert main(["check-config", "--config", str(path), "--json"]) == 0
    shown = said(capsys)
    assert shown["ok"] is True and shown["receipts_verified"] is True


def test_check_config_shows_what_is_in_force(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "AA:BB:CC:DD:EE:01" in shown and "EXPERIMENT" not in shown
    file.write_text("experiment_without_key = true")
    assert main(["check-config", "--config", str(file)]) == 0
    assert "EXPERIMENT: without province_public_key" in capsys.readouterr().out


def test_a_bad_configuration_is_exit_code_2_with_one_line_and_no_traceback(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[mqtt]\nhots = 'a'")
    for command in ("run", "check-config", "status", "queue"):
        assert main([command, "--config", str(file)]) == 2
        printed = capsys.readouterr()
        assert printed.err.count("\n") == 1 and "Did you mean mqtt.hosts?" in printed.err
    assert main(["status", "--config", str(file), "--json"]) == 2
    error = {"code": "config.unknown_key", "message": _any_text}
    assert said(capsys) == {"ok": False, "error": error, "exit_code": 2}


class _AnyText:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other)

    __hash__ = None  # type: ignore[assignment]  # an object that is equal to every text cannot have a hash


_any_text = _AnyText()


def test_an_unknown_command_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fly"])
    assert ended.value.code == 2
    capsys.readouterr()


def test_help_explains_exit_codes_and_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "exit codes" in shown and "MOORING_EDGE_MQTT_HOSTS" in shown


def test_help_names_the_command_as_it_was_typed() -> None:
    shown = subprocess.run([sys.executable, "-m", "edge_agent", "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith(f"usage: {sys.executable} -m edge_agent ")
    assert f"{sys.executable} -m edge_agent config > mooring-edge.toml" in shown.stdout


def test_an_installed_command_is_named_by_its_path_if_the_shell_would_not_find_it() -> None:
    installed = "/opt/a folder/bin/mooring-edge"
    assert typed.command([installed, "status"], ["python3", installed, "status"]) == f"'{installed}'"
    assert typed.command(["/usr/bin/pytest"], ["python3", "/usr/bin/pytest"]) == typed.NAME


def test_queue_and_status_say_so_where_no_agent_has_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queue", "--config", str(file), "--json"]) == 1
    assert said(capsys)["error"]["code"] == "outbox.missing"
    assert main(["status", "--config", str(file), "--json"]) == 3, "the answer is that it does not run"
    nothing: dict[str, Any] = {"ok": False, "running": False, "version": None, "broker": False, "locks": []}
    nothing |= {"strangers": 0, "turns": None, "unsendable": 0, "pass_end": None, "certificate_end": None}
    nothing |= {"faults": {}, "outbox": None, "disk_written": None}
    assert said(capsys) == nothing
    assert main(["status", "--config", str(file)]) == 3
    assert "no agent has ever run" in capsys.readouterr().out


def test_status_tells_what_nobody_foresaw_by_type(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state_dir = config.load(file, {}).state_dir
    with status.only_one(state_dir):
        status.write(state_dir, {"broker": True, "locks": [], "faults": {"KeyError": 2}})
        assert main(["status", "--config", str(file), "--json"]) == 0
        assert said(capsys)["faults"] == {"KeyError": 2}
        assert main(["status", "--config", str(file)]) == 0
        assert "KeyError 2" in capsys.readouterr().out
        status.write(state_dir, {"broker": True, "locks": [], "faults": {}})
        assert main(["status", "--config", str(file)]) == 0
        assert "faults" not in capsys.readouterr().out


def test_status_tells_within_which_time_locks_take_turns_and_how_many_do_not_answer(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state_dir = config.load(file, {}).state_dir
    locks = [{"lock": None, "connected": number < 3, "answers": number < 9} for number in range(10)]
    with status.only_one(state_dir):
        turns: dict[str, float | None] = {"within_seconds": 120.0, "longest_seconds": 31}
        status.write(state_dir, {"broker": True, "locks": locks, "turns": turns})
        assert main(["status", "--config", str(file)]) == 0
        told = capsys.readouterr().out
        assert "3 of 10 connected" in told and "within 2 min; the longest wait so far was 31 s" in told
        assert "1 lock not answering" in told
        turns["within_seconds"] = None
        status.write(state_dir, {"broker": True, "locks": locks[:3], "turns": turns})
        assert main(["status", "--config", str(file)]) == 0
        told = capsys.readouterr().out
        assert "3 of 3 connected" in told and "turns" not in told and "answering" not in told


@pytest.mark.parametrize("command", ["status", "queue"])
def test_who_may_not_look_into_the_state_directory_is_told_as_whom_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    state = tmp_path / "state"
    Outbox(state / "outbox.sqlite3").close()
    monkeypatch.setenv("MOORING_EDGE_STATE_DIR", str(state))
    monkeypatch.setenv("MOORING_EDGE_PROVINCE_PUBLIC_KEY", KEY)
    monkeypatch.setattr(config, "DEFAULT_PATH", Path("/nonexistent/mooring-edge.toml"))
    with closed(state):
        assert main([command]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("outbox.access: ") and "sudo -u" in printed.err
    assert main([command]) in (0, 3), "the owner can read it"


def test_who_may_not_look_into_the_folder_of_the_configuration_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mooring-edge"
    folder.mkdir()
    monkeypatch.setenv("MOORING_EDGE_PROVINCE_PUBLIC_KEY", KEY)
    monkeypatch.setenv("MOORING_EDGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(config, "DEFAULT_PATH", folder / "mooring-edge.toml")
    with closed(folder):
        assert main(["check-config", "--json"]) == 2
    assert said(capsys)["error"]["code"] == "config.unreadable"
    assert main(["check-config"]) == 0, "without a file the defaults apply"
    assert "no file, defaults" in capsys.readouterr().out


_ON_A_FULL_DISK = """
import resource, sys
from edge_agent.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.exit(main(["config"]))
"""


def test_what_the_system_refuses_unforeseen_is_one_line_as_well(tmp_path: Path) -> None:
    with (tmp_path / "printed").open("w") as output:
        done = subprocess.run(
            [sys.executable, "-c", _ON_A_FULL_DISK], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        1,
        f"edge.system: {os.strerror(errno.EFBIG)}. Mend what the system says, then try again.\n",
    )


def test_a_reader_that_has_left_is_told_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edge_agent", "config"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_queue_lists_what_waits_and_what_was_kept_aside(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = SigningLock()
    with contextlib.closing(Outbox(tmp_path / "state" / "outbox.sqlite3")) as outbox:
        for item in lock.journal(3):
            outbox.put(item)
        outbox.set_aside((lock.lock_id, 3), "record.equivocation", authentic=True)
        assert main(["queue", "--config", str(file), "--json", "--quarantine"]) == 0
        shown = said(capsys)
    assert (shown["records"], shown["quarantined"], shown["disputed"]) == (2, 1, 0)
    assert shown["locks"] == [
        {"lock": lock.lock_id.hex(), "records": 2, "first": 1, "last": 2, "receipted_through": 0, "disputed": 0}
    ]
    assert shown["quarantine"][0]["code"] == "record.equivocation" and shown["refused"] == []
    assert main(["queue", "--config", str(file), "--quarantine"]) == 0
    printed = capsys.readouterr().out
    assert "record.equivocation" in printed and "ALARM" not in printed
    assert f"{lock.lock_id.hex()}  2 records, counters 1 to 2\n" in printed


def test_one_record_is_told_as_one(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = SigningLock()
    with contextlib.closing(Outbox(tmp_path / "state" / "outbox.sqlite3")) as outbox:
        outbox.put(lock.journal(1)[0])
    assert main(["queue", "--config", str(file)]) == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(rf"1 record, \d+ bytes; 0 set aside\n  {lock.lock_id.hex()}  1 record, counter 1\n", printed)
    main(["status", "--config", str(file)])
    assert re.search(r"outbox   1 record, \d+ bytes", capsys.readouterr().out)


def test_status_and_queue_raise_an_alarm_over_records_that_the_province_refuses_although_their_locks_signed_them(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = SigningLock()
    with contextlib.closing(Outbox(tmp_path / "state" / "outbox.sqlite3")) as outbox:
        for item in lock.journal(3):
            outbox.put(item)
        outbox.dispute((lock.lock_id, 2), "cose.signature")
        for command in (["status"], ["queue"], ["queue", "--quarantine"]):
            main([*command, "--config", str(file)])
            assert "ALARM    the province refuses 1 record that its lock did sign" in capsys.readouterr().out
        main(["queue", "--config", str(file), "--json", "--quarantine"])
        shown = said(capsys)
        assert (shown["disputed"], shown["locks"][0]["disputed"], shown["quarantined"]) == (1, 1, 0)
        assert shown["refused"] == [{"lock": lock.lock_id.hex(), "counter": 2, "code": "cose.signature"}]
        main(["status", "--config", str(file), "--json"])
        assert said(capsys)["outbox"]["disputed"] == 1


def test_status_without_an_agent_is_exit_code_3(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Outbox(tmp_path / "state" / "outbox.sqlite3").close()
    assert main(["status", "--config", str(file), "--json"]) == 3
    shown = said(capsys)
    assert (shown["ok"], shown["running"], shown["broker"], shown["outbox"]["records"]) == (False, False, False, 0)
    assert main(["status", "--config", str(file)]) == 3
    assert "not running" in capsys.readouterr().out


@contextlib.contextmanager
def _systemd() -> Iterator[socket.socket]:
    """Yield a socket that hears what the agent tells systemd. The socket's path is short, because macOS allows only 104
    bytes.
    """
    with (
        tempfile.TemporaryDirectory(prefix="mooring-", dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(f"{folder}/notify")
        listener.settimeout(HANG_SECONDS)
        yield listener


def _until(listener: socket.socket, state: str) -> list[str]:
    heard: list[str] = []
    while state not in heard:
        heard.append(listener.recv(4096).decode())
    return heard


def test_a_running_agent_tells_systemd_feeds_its_watchdog_and_stops_cleanly_on_sigterm(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Broker() as broker, _systemd() as listener:
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": listener.getsockname(),
            "WATCHDOG_USEC": "900000",
            "MOORING_EDGE_MQTT_PORT": str(broker.port),
            "MOORING_EDGE_MONITOR_PORT": str(NO_BROKER.port),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "--config", str(file), "--json-log"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as agent:
            try:
                _until(listener, "READY=1")
                _until(listener, "STATUS=broker connected, locks connected: 0 of 1")
                _until(listener, "WATCHDOG=1")
                assert main(["status", "--config", str(file), "--json"]) == 0
                lock = {"address": "AA:BB:CC:DD:EE:01", "lock": None, "version": None, "connected": False}
                lock |= {"visited": None, "signal": None}
                shown = said(capsys)
                (here,) = shown["locks"]
                assert isinstance(here.pop("answers"), bool) and here == lock
                assert shown["turns"] == {"within_seconds": None, "longest_seconds": 0}
                page = f"http://127.0.0.1:{NO_BROKER.port}"
                with urllib.request.urlopen(f"{page}/metrics", timeout=HANG_SECONDS) as answer:
                    assert "\nmooring_edge_broker_connected 1\n" in answer.read().decode()
                with urllib.request.urlopen(f"{page}/healthz", timeout=HANG_SECONDS) as answer:
                    assert answer.read() == b"ok\n"
                with pytest.raises(urllib.error.HTTPError, match="503") as unready:
                    urllib.request.urlopen(f"{page}/readyz", timeout=HANG_SECONDS)
                assert unready.value.read().decode().startswith("there is no pass yet: ")
                agent.send_signal(signal.SIGTERM)
                _until(listener, "STOPPING=1")
                out, errors = agent.communicate(timeout=HANG_SECONDS)
            finally:
                # Kill the agent, so that a failing test does not wait for the agent.
                agent.kill()
        assert agent.returncode == 0
        assert "Traceback" not in errors
        events = [json.loads(line)["event"] for line in out.splitlines()]
        assert events[0] == "agent.started" and events[-1] == "agent.stopped" and "broker.connected" in events
    assert main(["status", "--config", str(file), "--json"]) == 3


def test_a_damaged_outbox_is_rebuilt_by_the_agent_and_status_says_so(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "outbox.sqlite3").write_bytes(b"this is no database" * 100)
    with subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "run", "--config", str(file)], stdout=subprocess.PIPE, text=True
    ) as agent:
        assert agent.stdout is not None
        assert "outbox.rebuilt" in agent.stdout.readline()
        agent.terminate()
        agent.communicate()
    assert main(["status", "--config", str(file)]) == 3
    assert "1 new file. Check the disk" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_an_abstract_socket_and_a_foreign_watchdog_are_understood() -> None:
    name = f"\0mooring-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name[1:], "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"})
        notifier.ready()
        assert listener.recv(100) == b"READY=1"
    assert notifier.watchdog_seconds is None
    assert Notifier({"WATCHDOG_USEC": "2000000"}).watchdog_seconds == 2.0
    Notifier({}).alive()
    Notifier({"NOTIFY_SOCKET": "/nonexistent/socket"}).ready()
