"""Sending to a board with the real mpremote. The real MicroPython on a pseudo-terminal takes the place of the board."""

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
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from protocol.command_line_cpython import INTERRUPTED
from protocol.errors import ConfigError, TransportError
from sim.board import interpreter
from tests.support.pty_board import PtyBoard
from tools import board, flash, software

Capture = pytest.CaptureFixture[str]

UP = "board is up"
"""What the board prints at every start, before it runs any of our code."""

STARTED = "lock.unenrolled"
"""What the console of a lock prints that has started and was never enrolled."""


@pytest.fixture(scope="module")
def sent(made: software.Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a board after a send to a blank board, and the JSON that the command printed."""
    folder = tmp_path_factory.mktemp("sent") / "board"
    said = io.StringIO()
    with PtyBoard(folder) as blank, contextlib.redirect_stdout(said):
        assert flash.main(["send", str(made.folder), "--port", blank.port, "--json"]) == 0
        blank.wait_for(STARTED)
    return folder, json.loads(said.getvalue())


@pytest.fixture
def copy(sent: tuple[Path, Any], tmp_path: Path) -> Path:
    """The folder of a board with the software on it, which the test may change."""
    return Path(shutil.copytree(sent[0], tmp_path / "board"))


def send(capsys: Capture, to: PtyBoard | str, *arguments: str) -> tuple[int, Any]:
    """Exit code and JSON of a send to a board, or to a port that has no board."""
    capsys.readouterr()
    if isinstance(to, str):
        status = flash.main(["send", "--port", to, "--json", *arguments])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])
    to.wait_for(UP)
    starts = to.console.count(UP)
    status = flash.main(["send", "--port", to.port, "--json", *arguments])
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    if facts["ok"] or not facts["error"]["code"].startswith("port."):
        to.wait_for(UP, times=starts + 2)  # a soft reset at the beginning, a hard reset at the end
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
        changed.wait_for("kept ['keys'] not to be touched", times=5)  # once at each start


def test_a_dry_run_changes_nothing(made: software.Stage, copy: Path, capsys: Capture) -> None:
    with PtyBoard(
        copy, extra="if 'door.py' in os.listdir('/firmware/door'): os.remove('/firmware/door/door.py')"
    ) as one:
        for _ in range(2):
            status, facts = send(capsys, one, str(made.folder), "--dry-run")
            assert status == 0 and facts["dry_run"]
            assert facts["sent"] == ["firmware/door/door.py", "main.py"]


def test_a_program_that_never_ends_is_stopped(made: software.Stage, copy: Path, capsys: Capture) -> None:
    busy = "if len(open('/main.py').read()) != 15: open('/main.py', 'w').write('while True:pass')"
    with PtyBoard(
        copy, extra="import time\nif 'ran' not in os.listdir('/'):\n open('/ran', 'w').close()\n " + busy
    ) as one:
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
    """A timer that ends when `lost` is set. That is for the first timer made; those after it never end."""

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
import os, signal, sys, serial
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
    """A serial line with nothing at its other end."""
    host, line = pty.openpty()
    tty.setraw(line)
    try:
        yield os.ttyname(line)
    finally:
        os.close(line)
        os.close(host)


# --- which port ------------------------------------------------------------------------------------------------------

ONE, OTHER = board.Port("/dev/ttyACM0", "USB JTAG/serial"), board.Port("/dev/ttyUSB0", "CP2102N")


def test_the_only_port_is_taken() -> None:
    assert board.choose(None, lambda: [ONE]) == "/dev/ttyACM0"


def test_the_named_port_is_taken_whatever_else_there_is() -> None:
    assert board.choose("/dev/ttyUSB7", lambda: [ONE, OTHER]) == "/dev/ttyUSB7"


def test_two_ports_are_listed_and_neither_is_guessed() -> None:
    with pytest.raises(ConfigError) as refused:
        board.choose(None, lambda: [ONE, OTHER])
    assert refused.value.code == "port.several"
    assert "--port /dev/ttyACM0" in refused.value.message and "--port /dev/ttyUSB0" in refused.value.message


def test_no_port_at_all_is_told() -> None:
    with pytest.raises(ConfigError) as refused:
        board.choose(None, list)
    assert refused.value.code == "port.none"


# --- which board -----------------------------------------------------------------------------------------------------


BLANK = board.Found("micropython", (1, 24, 0), "a board", 1_800_000, 262_144, 0, {}, frozenset())


def test_a_blank_board_with_the_oldest_good_interpreter_passes(made: software.Stage) -> None:
    board.check(BLANK, made, board.plan(BLANK, made))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (replace(BLANK, version=(1, 23, 9)), "board.old"),
        (replace(BLANK, version=(0, 99)), "board.old"),
        (replace(BLANK, name="circuitpython", version=(9, 2, 0)), "board.interpreter"),
        (replace(BLANK, journal=0), "board.journal"),
        (replace(BLANK, free=100_000), "board.full"),
        (replace(BLANK, free=0), "board.full"),
    ],
)
def test_a_board_that_cannot_run_the_lock_is_refused(made: software.Stage, found: board.Found, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        board.check(found, made, board.plan(found, made))
    assert refused.value.code == code
    assert flash.EXIT_CODES[code.split(".")[0]] == 4


@pytest.mark.parametrize(
    ("mpy", "fits"),
    [
        (6 | 3 << 8 | 11 << 10, True),  # the ESP32-C6
        (6 | 3 << 8 | 11 << 10 | 1 << 16, True),  # with more flags
        (6 | 3 << 8 | 10 << 10, False),  # an ESP32-S3
        (6 | 2 << 8 | 11 << 10, False),  # an interpreter too old for this native code
        (5 | 3 << 8 | 11 << 10, False),
        (0, False),
    ],
)
def test_compiled_software_goes_only_onto_what_it_was_compiled_for(tmp_path: Path, mpy: int, fits: bool) -> None:
    path = "firmware/crypto/ghash_viper.py"
    for name, content in software.compile_all({path: software.sources()[path]}, "rv32imc").items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(content)
        stage = software.Stage(
            tmp_path, (software.Entry.of("main.py", b""), software.Entry.of(name, content)), "", "rv32imc"
        )
        found = replace(BLANK, mpy=mpy)
        planned = board.plan(found, stage)
        if fits:
            board.check(found, stage, planned)
            continue
        with pytest.raises(ConfigError) as refused:
            board.check(found, stage, planned)
        assert refused.value.code == "board.mpy"


def test_a_full_board_that_holds_the_software_has_room_for_one_changed_file(made: software.Stage) -> None:
    files = {entry.path: entry for entry in made.entries}
    files["firmware/door/door.py"] = replace(files["firmware/door/door.py"], sha256="0" * 64)
    folders = frozenset(str(folder) for path in files for folder in PurePosixPath(path).parents if str(folder) != ".")
    found = replace(BLANK, files=files, folders=folders, free=board.RESERVE + 40_000)
    planned = board.plan(found, made)
    assert [entry.path for entry in planned.write] == ["firmware/door/door.py", "main.py"]
    board.check(found, made, planned)


def test_when_anything_changes_main_is_written_anew(made: software.Stage) -> None:
    files = {entry.path: entry for entry in made.entries}
    files["firmware/old.py"] = software.Entry.of("firmware/old.py", b"")
    planned = board.plan(replace(BLANK, files=files), made)
    assert [entry.path for entry in planned.write] == ["main.py"] and planned.remove == ("firmware/old.py",)


def test_folders_are_removed_from_within_and_made_from_without(made: software.Stage) -> None:
    planned = board.plan(replace(BLANK, folders=frozenset({"firmware", "firmware/a", "firmware/a/b"})), made)
    assert planned.remove_folders == ("firmware/a/b", "firmware/a")
    assert planned.make_folders.index("protocol") < planned.make_folders.index("protocol/mdoc")


def test_a_diagnosis_carries_a_remedy(tmp_path: Path) -> None:
    assert isinstance(board.diagnose(str(tmp_path / "none")), TransportError)
    for port in (str(tmp_path / "none"), str(tmp_path), "COM7"):
        assert "try again" in board.diagnose(port).message
