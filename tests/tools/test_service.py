"""The installer's command at a lock in service: its abilities, and the cases in which it needs the button. On the real
MicroPython."""

import json
import os
import pty
import shutil
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.console import encode
from protocol.fittings import Fittings
from tests.support import enrolled
from tests.support.enrolled import READY
from tests.support.pty_board import PtyBoard
from tools import flash, software
from tools.cable import Cable

Capture = pytest.CaptureFixture[str]

QUICK = "from firmware.hardware import signals, strike\nstrike.PULSE_MS, strike.LOOK_MS, signals.UNIT_MS = 400, 20, 5\n"
LONG = "from firmware.hardware import strike\nstrike.PULSE_MS = 600000\n"
OPEN, HELD = 1, 0
"""Levels of the button's pin."""


@pytest.fixture(scope="module")
def board(compiled: software.Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a board. The board's lock is in service, and has a button. Tests must not change the folder."""
    return enrolled.board(tmp_path_factory.mktemp("service") / "board", compiled)


@pytest.fixture
def lock(copy: Path) -> Iterator[PtyBoard]:
    """Yield a lock in service whose button is released."""
    with PtyBoard(copy, extra=QUICK) as one:
        one.wire(pins.BUTTON, OPEN)
        one.wait_for(READY)
        yield one


def ask(capsys: Capture, one: PtyBoard, *arguments: str) -> tuple[int, Any]:
    """Run a command that talks to the lock. Return the command's exit code and JSON."""
    capsys.readouterr()
    status = flash.main([*arguments, "--port", one.port, "--json"])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def button(capsys: Capture, one: PtyBoard, level: int) -> None:
    """Hold or release the button, and wait until the lock reports this. A button that is to be held is always released
    first.
    """
    if level == HELD:
        button(capsys, one, OPEN)
    one.wire(pins.BUTTON, level)
    told = [ask(capsys, one, "status")[1]]
    while told[-1].get("button") != ("held" if level == HELD else "open"):
        assert len(told) < 20, told[-1]
        told.append(ask(capsys, one, "status")[1])


def moved(one: PtyBoard) -> int:
    """Return how often the lock has switched on the strike or the green light.

    The red and the blue light are not counted, because they show the state of the reader.
    """
    changes = [*one.bus.changes(pins.STRIKE), *one.bus.changes(pins.LIGHTS[1])]
    return sum(event.facts["value"] for event in changes)


def opened(one: PtyBoard) -> list[int]:
    """Return the levels that the strike's pin has had."""
    return [event.facts["value"] for event in one.bus.changes(pins.STRIKE)]


def test_status_log_and_records_are_there_for_whoever_asks_and_tell_no_secret(
    lock: PtyBoard, tmp_path: Path, capsys: Capture
) -> None:
    before = moved(lock)
    status, told = ask(capsys, lock, "status")
    assert status == 0 and told["ok"]
    assert (told["lock"], told["button"], told["halted"]) == (enrolled.LOCK_ID.hex(), "open", None)
    assert told["next_counter"] == 1 and told["receipted_through"] == 0 and not told["placed"] and not told["timed"]
    status, told = ask(capsys, lock, "log")
    assert status == 0 and any("lock.ready" in line for line in told["lines"])
    said = "\n".join(told["lines"]) + lock.console
    for private, _ in enrolled.KEYS:
        assert private.hex() not in said
    status, told = ask(capsys, lock, "export", str(tmp_path / "none"))
    assert status == 0 and (told["records"], told["first"], told["last"]) == (0, None, None)
    assert (tmp_path / "none").read_bytes() == b""
    assert moved(lock) == before


WANT_THE_BUTTON = (
    ["fittings"],
    ["fittings", "FILE"],
    *(["self-test", part] for part in ("inputs", "signals", "strike")),
)


def refusals(capsys: Capture, one: PtyBoard, file: Path) -> set[tuple[int, str]]:
    """Run all commands that need the button. Return the exit codes and error codes of these commands.

    Also check that these commands did nothing.
    """
    file.write_bytes(Fittings(fail_safe=True, button=True).encode())
    before, starts = moved(one), one.starts
    answers = [
        ask(capsys, one, *(str(file) if word == "FILE" else word for word in words)) for words in WANT_THE_BUTTON
    ]
    assert moved(one) == before and one.starts == starts
    assert ask(capsys, one, "status")[1]["next_counter"] == 1
    return {(status, told["error"]["code"]) for status, told in answers}


def test_without_the_button_nothing_is_written_moved_or_told(lock: PtyBoard, tmp_path: Path, capsys: Capture) -> None:
    assert refusals(capsys, lock, tmp_path / "fittings") == {(8, "console.button")}


def test_a_button_that_was_held_since_the_start_is_none_until_it_was_let_go(
    copy: Path, tmp_path: Path, capsys: Capture
) -> None:
    with PtyBoard(copy, extra=QUICK) as one:
        one.wire(pins.BUTTON, HELD)
        one.wait_for(READY)
        assert ask(capsys, one, "status")[1]["button"] == "stuck"
        assert refusals(capsys, one, tmp_path / "fittings") == {(8, "console.button")}
        button(capsys, one, HELD)
        assert ask(capsys, one, "fittings")[0] == 0


def test_a_lock_without_a_button_takes_nothing_whatever_its_pin_says(
    compiled: software.Stage, tmp_path: Path, capsys: Capture
) -> None:
    bare = enrolled.board(tmp_path / "board", compiled, fittings=b"{}")
    with PtyBoard(bare) as one:
        one.wait_for(READY)
        one.wire(pins.BUTTON, OPEN)
        assert ask(capsys, one, "status")[1]["button"] == "absent"
        one.wire(pins.BUTTON, HELD)
        assert ask(capsys, one, "status")[1]["button"] == "absent"
        assert refusals(capsys, one, tmp_path / "fittings") == {(8, "console.unfitted")}


def test_while_the_button_is_held_the_strike_opens_once_its_record_is_in_flash(
    lock: PtyBoard, tmp_path: Path, capsys: Capture
) -> None:
    button(capsys, lock, HELD)
    assert ask(capsys, lock, "self-test", "signals")[0] == 0
    assert opened(lock)[-1] == 0 and 1 not in opened(lock)
    assert ask(capsys, lock, "self-test", "inputs")[1]["inputs"] == {}
    assert ask(capsys, lock, "self-test", "strike")[0] == 0
    lock.wait_for_pin(pins.STRIKE, 0)
    facts = [event.facts for event in lock.bus.history]
    strike = next(at for at, fact in enumerate(facts) if fact.get("pin") == pins.STRIKE and fact["value"] == 1)
    assert ask(capsys, lock, "export", str(tmp_path / "records"))[1]["records"] == 1
    sealed = (tmp_path / "records").read_bytes()
    programmed = "".join(fact["data"] for fact in facts[:strike] if fact.get("data"))
    assert sealed.hex() in programmed, "the record that the export has, whole"
    found = record.verify(crypto, record.parse(sealed), enrolled.KEYS[0][1])
    body = record.open_body(crypto, found, enrolled.SEALING[0])
    assert (body[record.KIND], body[record.WHAT], body[record.COUNT]) == (record.MAINTENANCE, "strike", 1)
    assert opened(lock)[-2:] == [1, 0], "and shut at the end of the pulse"


def test_letting_the_button_go_shuts_the_strike_at_once(copy: Path, capsys: Capture) -> None:
    with PtyBoard(copy, extra=LONG) as one:
        one.wire(pins.BUTTON, OPEN)
        one.wait_for(READY)
        button(capsys, one, HELD)

        def let_go() -> None:
            one.wait_for_pin(pins.STRIKE, 1)
            one.wire(pins.BUTTON, OPEN)

        letting = threading.Thread(target=let_go)
        letting.start()
        status, told = ask(capsys, one, "self-test", "strike")
        letting.join()
        assert (status, told["error"]["code"]) == (8, "console.button")
        one.wait_for_pin(pins.STRIKE, 0)
        assert opened(one)[-2:] == [1, 0]


def test_a_strike_that_cannot_be_recorded_does_not_move(
    compiled: software.Stage, tmp_path: Path, capsys: Capture
) -> None:
    unplaced = enrolled.board(tmp_path / "board", compiled, placed=False)
    with PtyBoard(unplaced) as one:
        one.wire(pins.BUTTON, OPEN)
        one.wait_for(READY)
        button(capsys, one, HELD)
        (tmp_path / "new").write_bytes(Fittings(fail_safe=True, button=True).encode())
        for command in (["self-test", "strike"], ["fittings", str(tmp_path / "new")]):
            status, told = ask(capsys, one, *command)
            assert (status, told["error"]["code"]) == (8, "door.unplaced")
        assert set(opened(one)) == {0} and one.starts == 1


def test_fittings_are_recorded_written_and_what_the_lock_starts_with(
    lock: PtyBoard, tmp_path: Path, capsys: Capture
) -> None:
    new = Fittings(fail_safe=True, inputs=("contact",), button=True).encode()
    (tmp_path / "new").write_bytes(new)
    lock.wire(pins.INPUTS["contact"], 0)  # the door is shut
    button(capsys, lock, HELD)
    assert ask(capsys, lock, "fittings")[1]["fittings"].encode() == Fittings(button=True).encode()
    assert ask(capsys, lock, "fittings", str(tmp_path / "new"))[0] == 0
    lock.wait_for(READY, times=2)
    lock.wait_for_pin(pins.STRIKE, 1)
    assert opened(lock)[-1] == 1, "a fail-safe strike is held by current"
    button(capsys, lock, HELD)
    assert ask(capsys, lock, "fittings")[1]["fittings"].encode() == new
    assert ask(capsys, lock, "self-test", "inputs")[1]["inputs"] == {"contact": False}
    assert ask(capsys, lock, "export", str(tmp_path / "records"))[1]["records"] == 1
    body = record.open_body(crypto, record.parse((tmp_path / "records").read_bytes()), enrolled.SEALING[0])
    assert (body[record.KIND], body[record.WHAT]) == (record.MAINTENANCE, "fittings")


def test_fittings_that_make_no_sense_are_not_even_sent(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "new").write_text('{"strike": "fail-open"}')
    assert flash.main(["fittings", str(tmp_path / "new"), "--port", "/dev/ttyACM-none"]) == 8
    assert "fail-secure or fail-safe" in capsys.readouterr().err


def test_a_lock_that_cannot_read_its_fittings_says_so_and_takes_others_while_its_button_is_held(
    compiled: software.Stage, tmp_path: Path, capsys: Capture
) -> None:
    broken = enrolled.board(tmp_path / "board", compiled, fittings=b'{"strike": "fail-open"}')
    (tmp_path / "new").write_bytes(Fittings(button=True).encode())
    with PtyBoard(broken) as one:
        one.wire(pins.BUTTON, OPEN)
        one.wait_for("lock.halted")
        assert ask(capsys, one, "status")[1]["halted"] == "fittings.form"
        assert ask(capsys, one, "fittings", str(tmp_path / "new"))[1]["error"]["code"] == "console.button"
        button(capsys, one, HELD)
        assert ask(capsys, one, "self-test", "strike")[1]["error"]["code"] == "console.halted"
        assert ask(capsys, one, "fittings", str(tmp_path / "new"))[0] == 0
        one.wait_for(READY)
        assert set(opened(one)) == {0}


def test_a_lock_refuses_fittings_with_an_input_that_its_board_lacks_and_writes_nothing(
    tmp_path: Path, capsys: Capture
) -> None:
    for room in software.ROOMS:
        shutil.copytree(software.ROOT / room, tmp_path / "checkout" / room, ignore=shutil.ignore_patterns("*.pyc"))
    boards = tmp_path / "checkout" / "firmware" / "boards"
    text = (boards / f"{software.REFERENCE_BOARD}.py").read_text(encoding="utf-8")
    assert '"key": 2, ' in text
    (boards / "without_key.py").write_text(text.replace('"key": 2, ', ""), encoding="utf-8")
    made = software.stage(tmp_path / "made", "x64", tmp_path / "checkout", "without_key")
    (tmp_path / "key").write_bytes(Fittings(inputs=("contact", "key"), button=True).encode())
    (tmp_path / "contact").write_bytes(Fittings(inputs=("contact",), button=True).encode())
    with PtyBoard(enrolled.board(tmp_path / "board", made)) as one:
        one.wire(pins.BUTTON, OPEN)
        one.wait_for(READY)
        button(capsys, one, HELD)
        status, told = ask(capsys, one, "fittings", str(tmp_path / "key"))
        assert (status, told["error"]["code"]) == (8, "fittings.input")
        assert told["error"]["message"].endswith("Take that input out")
        assert ask(capsys, one, "fittings")[1]["fittings"].encode() == Fittings(button=True).encode()
        assert ask(capsys, one, "export", str(tmp_path / "records"))[1]["records"] == 0
        assert ask(capsys, one, "fittings", str(tmp_path / "contact"))[0] == 0
        one.wait_for(READY, times=2)


@pytest.mark.parametrize("lost", ["keys", "link", "placement"])
def test_a_lock_whose_memory_is_spoilt_halts_says_so_and_shows_no_prompt(
    copy: Path, capsys: Capture, lost: str
) -> None:
    spoil = f"with open('/state/{lost}', 'wb') as file:\n    file.write(b'?')\n"
    with PtyBoard(copy, extra="from firmware import maintenance\n" + spoil) as one:
        one.wait_for("lock.halted")
        told = ask(capsys, one, "status")[1]
        assert told["halted"] and told["lock"] is None
        assert ask(capsys, one, "export", str(copy / "records"))[1]["error"]["code"] == "console.halted"
        assert ">>> " not in one.console


def test_a_lock_that_halted_blinks_its_fault_and_makes_no_sound(copy: Path) -> None:
    spoil = "with open('/state/keys', 'wb') as file:\n    file.write(b'?')\n"
    with PtyBoard(copy, extra=QUICK + spoil) as one:
        one.wait_for("lock.halted")
        red, green, blue = pins.LIGHTS
        for level in (1, 0, 1, 0):
            one.wait_for_pin(blue, level)
        assert {event.facts["value"] for event in one.bus.changes(red)} == {0, 1}
        assert {event.facts["value"] for event in one.bus.changes(green)} == {0}
        assert not [event for event in one.bus.history if event.facts.get("pwm") == pins.BUZZER and event.facts["duty"]]


def test_a_lock_that_halted_starts_again_once_nobody_has_asked_it_anything_for_a_while(copy: Path) -> None:
    hurry = "from firmware.hardware import ticks\n_now = ticks.now\nticks.now = lambda: _now() * 20\n"
    spoil = "with open('/state/keys', 'wb') as file:\n    file.write(b'?')\n"
    with PtyBoard(copy, extra=hurry + spoil) as one:
        one.wait_for("lock.halted code=identity.corrupt", times=3)
        assert ">>> " not in one.console and set(opened(one)) == {0}


LITTERED = """
import asyncio, gc
_serve, litter = asyncio.run, [None] * 4000
async def _litter():
    await asyncio.sleep(0.5)
    at = 0
    try:
        while True:
            litter[at] = bytearray(500)
            at += 1
    except MemoryError:
        pass
    for at in range(0, len(litter), 2):
        litter[at] = None
    gc.collect()
    print("littered", at)
async def _both(main):
    asyncio.create_task(_litter())
    await main
asyncio.run = lambda main: _serve(_both(main))
"""


def test_lines_for_which_there_is_no_memory_cost_the_console_alone(copy: Path, capsys: Capture) -> None:
    with PtyBoard(copy, extra=LITTERED) as one:
        one.wait_for("littered")
        with Cable(one.port) as cable:
            for line in (b"~" + b"A" * 1376, encode([7, "fittings", bytes(600)])):
                cable._write(line)  # this sends the line in pieces, because the port cannot store the whole line
                assert cable.status().halted is None
        assert one.starts == 1 and "lock.task_failed" not in one.console
        told = ask(capsys, one, "log")[1]
        assert told["ok"] or told["error"]["code"] == "console.memory", (
            "there may or may not be free memory again by now"
        )


def test_send_stops_at_a_lock_in_service_and_says_why_and_the_lock_does_not_notice(
    made: software.Stage, lock: PtyBoard, capsys: Capture
) -> None:
    for arguments in ([], ["--dry-run"]):
        status, told = ask(capsys, lock, "send", str(made.folder), *arguments)
        assert (status, told["error"]["code"]) == (4, "board.enrolled")
        assert "signed" in told["error"]["message"]
    assert lock.starts == 1 and "lock.failed" not in lock.console


def test_commands_for_a_lock_in_service_say_that_a_prompt_is_none(tmp_path: Path, capsys: Capture) -> None:
    with PtyBoard(tmp_path / "board") as blank:
        blank.wait_for(">>> ")
        status, told = ask(capsys, blank, "status")
        assert (status, told["error"]["code"]) == (4, "board.prompt")
        assert "Traceback" not in blank.console, "what was asked is a comment there"


def test_an_export_never_takes_the_place_of_a_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    assert flash.main(["export", str(tmp_path / "mine"), "--port", "/dev/ttyACM-none", "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "file.exists"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_port_where_nobody_answers_is_told(capsys: Capture) -> None:
    host, line = pty.openpty()
    tty.setraw(line)
    try:
        assert flash.main(["status", "--port", os.ttyname(line), "--timeout", "0.2", "--json"]) == 4
    finally:
        os.close(line)
        os.close(host)
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "board.silent"
