"""A stranger with a cable cannot get a prompt or run code on a lock in service, whatever is typed and whatever fails.

The tests use the real MicroPython. MicroPython starts as on a board: `pty_board` runs boot.py and main.py.
"""

import os
import select
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.hang import HANG_SECONDS
from tests.support import enrolled
from tests.support.enrolled import READY
from tests.support.pty_board import PtyBoard
from tools import cable, software

UP = "board is up"
PROMPTS = (">>> ", "raw REPL", "=== ", "soft reboot", "Traceback", "MARKED")
"""Texts that no lock in service prints. These texts come from a prompt, from typed code, or from an error at the
prompt.
"""
FLOOD = b"\x03\x01\x02\x03\x04\r\nprint('MARK'+'ED')\r\n\x03\x03\x01print('MARK'+'ED')\x04\x05A\x01\x04"


@pytest.fixture(scope="module")
def board(compiled: software.Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a board with a lock in service. Tests must not change it."""
    return enrolled.board(tmp_path_factory.mktemp("enrolled") / "board", compiled)


class Flood:
    """Keeps typing `data` at the board until the `with` block ends, as fast as the line accepts bytes."""

    def __init__(self, one: PtyBoard, data: bytes = FLOOD) -> None:
        self._data = data
        self._line = os.open(one.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._over = threading.Event()
        self._turn = threading.Condition()
        self._times = 0
        self._typing = threading.Thread(target=self._type)

    def __enter__(self) -> "Flood":
        self._typing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._typing.join()
        os.close(self._line)

    def go_on(self, times: int) -> None:
        """Wait until `data` has been typed again, at least `times` times."""
        with self._turn:
            end = self._times + times
            assert self._turn.wait_for(lambda: self._times >= end, HANG_SECONDS)

    def _type(self) -> None:
        while not self._over.is_set():
            reading, writing, _ = select.select([self._line], [self._line], [], 0.05)
            with suppress(BlockingIOError):
                if reading:
                    os.read(self._line, 65536)
                if writing:
                    os.write(self._line, self._data)
                    with self._turn:
                        self._times += 1
                        self._turn.notify_all()


def fell_to_a_prompt(one: PtyBoard) -> list[str]:
    """Return the texts on the console that show that a prompt appeared."""
    return [word for word in PROMPTS if word in one.console]


@pytest.mark.parametrize("data", [FLOOD, b"\x03"], ids=["all", "Ctrl-C"])
def test_whatever_is_typed_from_reset_on_the_lock_starts_and_serves_and_there_is_no_prompt(
    board: Path, data: bytes
) -> None:
    with PtyBoard(board, patience=0) as one:
        with Flood(one, data) as flood:
            one.wait_for(READY)
            starts = one.starts
            flood.go_on(100)
        with cable.Cable(one.port) as line:
            status = line.status()
        assert status.lock_id is not None and status.halted is None
        assert one.starts == starts and fell_to_a_prompt(one) == []
        assert one.bus.values[pins.STRIKE] == 0


def spoil(folder: Path, path: str, old: str, new: str) -> str:
    """Return a program that a board can run before boot.py. The program changes `old` to `new` in the file `path`."""
    return f"""
with open({path!r}) as file:
    text = file.read()
assert {old!r} in text or {new!r} in text
with open({path!r}, "w") as file:
    file.write(text.replace({old!r}, {new!r}))
"""


def test_without_its_first_line_the_same_typing_keeps_a_lock_from_ever_serving(copy: Path) -> None:
    first = "import micropython; micropython.kbd_intr(-1)\n"
    with PtyBoard(copy, patience=0, extra=spoil(copy, "/boot.py", first, "")) as one, Flood(one, b"\x03"):
        one.wait_for(UP, times=4)  # each start was interrupted, and the board restarted
        assert READY not in one.console and ">>> " not in one.console


def test_without_its_last_lines_too_the_same_typing_ends_at_a_prompt(copy: Path) -> None:
    first, last = "import micropython; micropython.kbd_intr(-1)\n", "    while in_service:\n"
    extra = spoil(copy, "/boot.py", first, "") + spoil(copy, "/boot.py", last, "    while False:\n")
    with PtyBoard(copy, patience=0, extra=extra) as one, Flood(one, b"\x03"):
        one.wait_for(">>> ")


def test_from_main_py_the_same_typing_would_stop_it_for_the_port_listens_for_ctrl_c_again(copy: Path) -> None:
    # When boot.py ends, the port listens for Ctrl-C again. For this reason, the lock's boot.py never ends.
    extra = """
with open("/boot.py", "w") as file:
    file.write("import micropython; micropython.kbd_intr(-1)")
with open("/main.py", "w") as file:
    file.write("while True: pass")
"""
    with PtyBoard(copy, patience=0, extra=extra) as one, Flood(one, b"\x03"):
        one.wait_for(">>> ")


# --- whatever goes wrong ---------------------------------------------------------------------------------------------

PLANTED = {
    # Faults that make a start fail: (module, a line of the module, replacement of the line). In one of these faults,
    # the strike is open.
    "importing what starts the lock": ("firmware/main", "import esp32\n", "raise {}\n"),
    "importing something else": ("firmware/door/door", "from firmware.hardware import ticks\n", "raise {}\n"),
    "making the outputs": ("firmware/hardware/strike", "        self._shut = 0\n", "        raise {}\n"),
    "reading the keys": ("firmware/memory/identity", "    keys, anchor =", "    raise {}\n    keys, anchor ="),
    "opening the journal": ("firmware/memory/journal", "        self._scan()\n", "        raise {}\n"),
    "a task": (
        "firmware/hardware/sensors",
        "        if not self._switches:\n",
        "        self._strike.open()\n        raise {}\n        if not self._switches:\n",
    ),
    "the console": ("firmware/maintenance", "            line = self._read()\n", "            raise {}\n"),
    "what watches them all": ("firmware/hardware/watchdog", "        watchdog.feed()\n", "        raise {}\n"),
}
RAISED = (
    "RuntimeError()",
    "KeyboardInterrupt()",
    "SystemExit()",
    "SystemExit(0)",
    "OSError(5)",
    "[bytearray(60000) for _ in range(9)]",  # memory that is really exhausted
)
CASES = [(place, RAISED[number % len(RAISED)]) for number, place in enumerate(PLANTED)] + [
    ("a task", raised) for raised in RAISED
]


def test_an_exception_anywhere_makes_the_outputs_inert_and_starts_the_lock_again_and_never_shows_a_prompt(
    copy: Path,
) -> None:
    sources = software.sources()
    paths = []
    for number, (place, raised) in enumerate(CASES):
        path, old, new = PLANTED[place]
        source = sources[path + ".py"].decode()
        assert source.count(old) == 1, path
        paths.append(f"/{path}.py")
        (copy / f"planted-{number}").write_text(source.replace(old, new.format(raised)))
    (copy / "number").write_text("0")
    # MicroPython prefers a .py file to the .mpy file of the same name. Each start except the last has one faulty .py
    # file.
    before = f"""
with open({str(copy / "number")!r}) as file:
    number = int(file.read())
with open({str(copy / "number")!r}, "w") as file:
    file.write(str(number + 1))
text = None
if number < {len(CASES)}:
    with open({str(copy / "planted-")!r} + str(number)) as file:
        text = file.read()
"""
    plant = f"""
if 0 < number <= {len(CASES)}:
    os.remove({paths!r}[number - 1])
if text is not None:
    with open({paths!r}[number], "w") as file:
        file.write(text)
text = None
"""
    with PtyBoard(copy, before=before, extra=plant) as one:
        one.wait_for(READY + " heap")
        one.wait_for(UP, times=len(CASES) + 1)
        with cable.Cable(one.port) as line:
            assert line.status().halted is None
        assert one.starts == len(CASES) + 1 and fell_to_a_prompt(one) == []
        facts = [event.facts for event in one.bus.history]
    stops = [number for number, fact in enumerate(facts) if fact.get("stop") == "reset"]
    assert len(stops) == len(CASES)
    assert sum(fact.get("pin") == pins.STRIKE and fact["value"] == 1 for fact in facts) == len(RAISED) + 1
    for stop in stops:
        told = [fact["value"] for fact in facts[:stop] if fact.get("pin") == pins.STRIKE]
        assert not told or told[-1] == 0, "the strike was shut before the board restarted"
