"""The real mpremote sends the software to a board. The board is the real MicroPython on a pseudo-terminal."""

import contextlib
import fcntl
import io
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.command_line_cpython import INTERRUPTED
from sim.board import interpreter
from tests.support.pty_board import PtyBoard
from tools import board, flash, software

Capture = pytest.CaptureFixture[str]

UP = "board is up"
"""Text that the board prints at every start, before it runs our code."""

STARTED = "lock.unenrolled"
"""Text on the console of a lock that has started, but was never enrolled."""


@pytest.fixture(scope="module")
def sent(made: software.Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Send to a blank board. Return the folder of this board, and the JSON that the command printed."""
    folder = tmp_path_factory.mktemp("sent") / "board"
    said = io.StringIO()
    with PtyBoard(folder) as blank, contextlib.redirect_stdout(said):
        assert flash.main(["send", str(made.folder), "--port", blank.port, "--json"]) == 0
        blank.wait_for(STARTED)
    return folder, json.loads(said.getvalue())


@pytest.fixture
def copy(sent: tuple[Path, Any], tmp_path: Path) -> Path:
    """The folder of a board with the software. The test may change this folder."""
    return Path(shutil.copytree(sent[0], tmp_path / "board"))


def send(capsys: Capture, to: PtyBoard | str, *arguments: str) -> tuple[int, Any]:
    """Send to a board, or to a port without a board. Return the exit code and the JSON."""
    capsys.readouterr()
    if isinstance(to, str):
        status = flash.main(["send", "--port", to, "--json", *arguments])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])
    to.wait_for(UP)
    starts = to.console.count(UP)
    status = flash.main(["send", "--port", to.port, "--json", *arguments])
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    if facts["ok"] or not facts["error"]["code"].startswith("port."):
        to.wait_for(UP, times=starts + 2)  # one soft reset at the beginning, one hard reset at the end
    return status, facts


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_a_blank_board_receives_everything_and_starts_the_lock(made: software.Stage, sent: tuple[Path, Any]) -> None:
    facts = sent[1]
    assert facts["ok"] and facts["image"] == made.image
    assert set(facts["sent"]) == {entry.path for entry in made.entries}
    assert facts["bytes"] == sum(entry.size for entry in made.entries)


def test_without_a_stage_the_checkout_is_compiled_for_the_board_and_starts_there(
    tmp_path: Path, capsys: Capture
) -> None:
    with PtyBoard(tmp_path / "board") as blank:
        status, facts = send(capsys, blank)
        assert (
            status == 0 and "firmware/door/door.mpy" in facts["sent"] and "firmware/door/door.py" not in facts["sent"]
        )
        blank.wait_for(STARTED)


def test_progress_names_each_file_on_stderr(made: software.Stage, copy: Path, capsys: Capture) -> None:
    with PtyBoard(
        copy, extra="if 'door.py' in os.listdir('/firmware/door'): os.remove('/firmware/door/door.py')"
    ) as one:
        one.wait_for(UP)
        assert flash.main(["send", str(made.folder), "--port", one.port]) == 0
    said = capsys.readouterr()
    assert "  [1/2] firmware/door/door.py\n  [2/2] main.py\n" in said.err
    assert made.image in said.out


def test_a_board_that_holds_the_software_is_sent_nothing_and_its_lock_starts_again(
    made: software.Stage, copy: Path, capsys: Capture
) -> None:
    with PtyBoard(copy) as same:
        same.wait_for(STARTED)
        status, facts = send(capsys, same, str(made.folder))
        assert status == 0 and facts["sent"] == [] and facts["removed"] == []
        same.wait_for("soft reboot")
        same.wait_for(STARTED, times=2)


def test_only_changed_files_are_sent_stale_ones_go_and_the_locks_own_files_stay(
    made: software.Stage, copy: Path, capsys: Capture
) -> None:
    spoil = """
if "keys" not in os.listdir("/state"):
    os.mkdir("/firmware/gone")
    for path in ("/state/keys", "/firmware/door/door.py", "/protocol/old.py", "/firmware/gone/x.py"):
        with open(path, "ab") as file:
            file.write(b"not to be touched")
print("kept", os.listdir("/state"), open("/state/keys").read())
"""
    with PtyBoard(copy, extra=spoil) as changed:
        status, facts = send(capsys, changed, str(made.folder))
        assert status == 0
        assert facts["sent"] == ["firmware/door/door.py", "main.py"]
        assert facts["removed"] == ["firmware/gone/x.py", "protocol/old.py"]
        status, facts = send(capsys, changed, str(made.folder), "--dry-run")
        assert facts["sent"] == [] and facts["removed"] == []
        changed.wait_for("kept ['keys'] not to be touched", times=5)  # once for each start


def test_a_dry_run_changes_nothing(made: software.Stage, copy: Path, capsys: Capture) -> None:
    with PtyBoard(
        copy, extra="if 'door.py' in os.listdir('/firmware/door'): os.remove('/firmware/door/door.py')"
    ) as one:
        for _ in range(2):
            status, facts = send(capsys, one, str(made.folder), "--dry-run")
            assert status == 0 and facts["dry_run"]
            assert facts["sent"] == ["firmware/door/door.py", "main.py"]


def test_a_program_that_never_ends_is_stopped(made: software.Stage, copy: Path, capsys: Capture) -> None:
    busy = """
if "ran" not in os.listdir("/"):
    open("/ran", "w").close()
    with open("/main.py", "w") as file:  # closed at once, because nobody knows when the collector comes
        file.write("while True:pass")
"""
    with PtyBoard(copy, extra=busy) as one:
        status, facts = send(capsys, one, str(made.folder))
        assert status == 0 and facts["sent"] == ["main.py"]
        one.wait_for(STARTED)


def test_compiled_software_takes_the_place_of_its_sources_and_starts(
    made: software.Stage, compiled: software.Stage, copy: Path, capsys: Capture
) -> None:
    with PtyBoard(copy) as one:
        one.wait_for(STARTED)
        status, facts = send(capsys, one, str(compiled.folder))
        assert status == 0
        assert set(facts["removed"]) == {entry.path for entry in made.entries} - {"boot.py", "main.py"}
        one.wait_for(STARTED, times=2)


# --- trouble on the way ----------------------------------------------------------------------------------------------


def test_an_interrupted_send_leaves_a_lock_that_does_not_start_until_it_is_sent_again(
    made: software.Stage, copy: Path, capsys: Capture
) -> None:
    spoil = """
if "spoilt" not in os.listdir("/"):
    open("/spoilt", "w").close()
    for name in os.listdir("/protocol/mdoc"):
        os.remove("/protocol/mdoc/" + name)
"""
    with PtyBoard(copy, extra=spoil, cut_after=20_000) as unplugged:
        status, facts = send(capsys, unplugged, str(made.folder))
    assert (status, facts["error"]["code"]) == (3, "port.lost")
    assert "Send again" in facts["error"]["message"]
    with PtyBoard(copy) as again:
        again.wait_for(">>> ")
        assert STARTED not in again.console and "Traceback" not in again.console
        status, facts = send(capsys, again, str(made.folder))
        assert status == 0 and facts["sent"][-1] == "main.py"
        again.wait_for(STARTED)


def test_a_board_that_does_not_hold_what_it_was_sent_is_told_and_does_not_start(
    made: software.Stage, copy: Path, capsys: Capture
) -> None:
    forgetful = """
import builtins
_open = builtins.open
builtins.open = lambda path, mode="r": _open("/lost" if (path, mode) == ("/protocol/der.py", "wb") else path, mode)
if "lost" not in os.listdir("/"):
    os.remove("/protocol/der.py")
"""
    with PtyBoard(copy, extra=forgetful) as worn:
        status, facts = send(capsys, worn, str(made.folder))
        assert (status, facts["error"]["code"]) == (5, "transfer.verify")
        assert "protocol/der.py" in facts["error"]["message"]
        assert STARTED not in worn.console
        _, facts = send(capsys, worn, str(made.folder), "--dry-run")
        assert facts["sent"] == ["protocol/der.py", "main.py"]


class _Patience(threading.Timer):
    """A timer. The first timer ends when the event in `lost` is set. All later timers never end."""

    def __init__(self, lost: list[threading.Event], give_up: Callable[[], None]) -> None:
        super().__init__(0, give_up)
        self._lost = lost.pop() if lost else None

    def start(self) -> None:
        if self._lost is not None:
            self._lost.wait()
            super().start()


def test_a_board_that_was_just_starting_is_asked_again(made: software.Stage, copy: Path) -> None:
    with PtyBoard(copy, deaf=4) as drowsy:
        drowsy.wait_for(UP)
        lost = [drowsy.awake]
        asked = board.Board(drowsy.port, after=lambda _, give_up: _Patience(lost, give_up))
        with asked.opened():
            assert set(asked.inspect().files.values()) >= set(made.entries)
        assert lost == [], "the board did not hear the first question"


def test_a_line_on_which_nothing_answers_is_told(capsys: Capture) -> None:
    with _line() as port:
        status, facts = send(capsys, port, "--timeout", "0.4")
    assert (status, facts["error"]["code"]) == (4, "board.silent")
    assert "docs/installing.md" in facts["error"]["message"]


def test_a_board_without_a_journal_partition_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: Capture
) -> None:
    with PtyBoard(tmp_path / "board", hardware=False, extra="print('files', os.listdir('/'))") as stock:
        stock.wait_for("files []")
        status, facts = send(capsys, stock.port)
        assert (status, facts["error"]["code"]) == (4, "board.journal")
        stock.wait_for("files []", times=2)
        assert "files ['" not in stock.console


def test_a_port_that_is_not_there_is_told(capsys: Capture) -> None:
    status, facts = send(capsys, "/dev/ttyACM-none")
    assert (status, facts["error"]["code"]) == (3, "port.missing")
    assert "Plug" in facts["error"]["message"]


def test_a_port_that_another_program_uses_is_told(capsys: Capture) -> None:
    with _line() as port:
        holder = os.open(port, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(holder, fcntl.LOCK_EX)
        try:
            status, facts = send(capsys, port)
        finally:
            os.close(holder)
    assert (status, facts["error"]["code"]) == (3, "port.busy")


def test_a_port_this_user_may_not_use_names_the_group_that_may(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    access = os.access
    # A test that runs as root may use every port.
    monkeypatch.setattr(os, "access", lambda path, *mode: not str(path).startswith("/dev/") and access(path, *mode))
    with _line() as port:
        status, facts = send(capsys, port)
    assert (status, facts["error"]["code"]) == (3, "port.permission")
    assert "dialout" in facts["error"]["message"]


def test_without_mpremote_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    status, facts = send(capsys, "/dev/null")
    assert (status, facts["error"]["code"]) == (7, "program.missing")
    assert "pip install mpremote" in facts["error"]["message"]


INTERRUPTED_AT_THE_BOARD = """
import os, signal, sys, serial, time
time.monotonic = lambda: 0.0  # the board is asked however slow this machine is
from tools import flash
write = serial.Serial.write
def interrupted(self, data):
    os.kill(os.getpid(), signal.SIGINT)
    return write(self, data)
serial.Serial.write = interrupted
sys.exit(flash.main(sys.argv[1:]))
"""


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with _line() as port:
        command = [sys.executable, "-c", INTERRUPTED_AT_THE_BOARD, "send", "--port", port]
        done = subprocess.run(command, cwd=interpreter.ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert "looking into" in done.stderr, "the command has begun to ask the board"
    assert done.returncode == INTERRUPTED
    assert "Send again" in done.stderr and "Traceback" not in done.stderr


@contextlib.contextmanager
def _line() -> Iterator[str]:
    """Yield a serial line with nothing at its other end."""
    host, line = pty.openpty()
    tty.setraw(line)
    try:
        yield os.ttyname(line)
    finally:
        os.close(line)
        os.close(host)
