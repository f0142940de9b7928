"""A board that runs MicroPython, on a serial port: find it, inspect it, and write a stage onto it with mpremote.

`main.py` is removed before anything else changes, and written last. So an interrupted transfer leaves a lock that does
not start, and never a mixture of two versions. Only `firmware/`, `protocol/`, `boot.py` and `main.py` are touched.
Keys, stays and the journal remain. This needs a prompt. A lock in service has no prompt (`tools/cable.py`).
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from protocol.errors import ConfigError, TransportError
from tools.software import BOOT, MAIN, ROOMS, Entry, Stage, compiled_for, find_program

MINIMUM = (1, 24)
"""The oldest version of MicroPython that the firmware runs on."""

RESERVE = 64 * 1024
"""Number of bytes that must stay free on the board, for the lock's own files."""

ANSWER_SECONDS = 15.0
_SILENCE_SECONDS = 60.0
"""A board may be silent for ANSWER_SECONDS while it is inspected, and for _SILENCE_SECONDS while files are written."""

_ATTEMPTS = 2
"""Number of attempts to make contact. A board that is just starting loses the bytes that are sent to it."""

_MARK = "\x02"
_BLOCK = 4096

# Ctrl-C and a soft reset do not stop the lock's watchdog. So this code feeds the watchdog while files are sent. If the
# installer has abandoned the board, the watchdog restarts the board after two minutes.
_FEED = """
try:
    from machine import WDT
    WDT(timeout=120000).feed()
except ImportError:
    pass
"""

# The report is one object, then a list of [path, size, digest], and null at the end. A folder has size -1.
_INSPECT = (
    _FEED
    + """
import gc, hashlib, json, os, sys
gc.collect()
def tell(value):
    print("\\x02" + json.dumps(value))
def walk(path):
    try:
        kind, size = os.stat("/" + path)[0], os.stat("/" + path)[6]
    except OSError:
        return
    if kind & 0x4000:
        tell([path, -1, ""])
        for each in os.ilistdir("/" + path):
            walk(path + "/" + each[0])
        return
    digest, buffer = hashlib.sha256(), bytearray(1024)
    with open("/" + path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                break
            digest.update(memoryview(buffer)[:count])
    tell([path, size, "".join("%02x" % each for each in digest.digest())])
try:
    from esp32 import Partition
    journal = [each.info()[3] for each in Partition.find(Partition.TYPE_DATA, label="journal")]
except ImportError:
    journal = []
disk = os.statvfs("/")
tell({"name": sys.implementation[0], "version": list(sys.implementation[1])[:3],
    "machine": getattr(sys.implementation, "_machine", sys.platform),
    "free": disk[0] * disk[3], "journal": journal[0] if journal else 0,
    "mpy": getattr(sys.implementation, "_mpy", 0)})
for each in ROOMS:
    walk(each)
tell(None)
"""
)

_PREPARE = (
    _FEED
    + """
import os
for path in REMOVE:
    try:
        os.remove("/" + path)
    except OSError as error:
        if error.args[0] != 2:
            raise
for path in REMOVE_FOLDERS:
    os.rmdir("/" + path)
for path in FOLDERS:
    os.mkdir("/" + path)
"""
)

# If a chip has built-in USB, its port disappears at a restart. The pause lets mpremote close the port first.
_RESTART = "import machine, time\ntime.sleep_ms(200)\nmachine.reset()"


@dataclass(frozen=True)
class Port:
    """A serial port that may have a board: the name of the device, and the description that its USB side gives."""

    device: str
    description: str


@dataclass(frozen=True)
class Found:
    """A board's report about itself. `free` is the free space in bytes. `journal` is the size in bytes of the journal's
    partition, or 0. `mpy` is `sys.implementation._mpy`. `files` and `folders` belong to the lock's software."""

    name: str
    version: tuple[int, ...]
    machine: str
    free: int
    journal: int
    mpy: int
    files: dict[str, Entry] = field(repr=False)
    folders: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """Steps of a transfer: the files to write, the files and folders to remove, the folders to make, and how many files
    stay as they are."""

    write: tuple[Entry, ...]
    remove: tuple[str, ...]
    remove_folders: tuple[str, ...]
    make_folders: tuple[str, ...]
    unchanged: int

    @property
    def size(self) -> int:
        """Number of bytes that will be written."""
        return sum(entry.size for entry in self.write)

    @property
    def is_empty(self) -> bool:
        """Does the board already have exactly this software?"""
        return not (self.write or self.remove or self.remove_folders)


# --- ports -----------------------------------------------------------------------------------------------------------


def candidates() -> list[Port]:
    """Return the USB serial ports of this computer. Raises ConfigError `program.missing` without pyserial."""
    try:
        # pyserial has no type annotations.
        from serial.tools.list_ports import comports  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ConfigError(
            "program.missing", "finding the port needs pyserial. Install pyserial, or name the port with --port"
        ) from None
    return [Port(each.device, each.description) for each in sorted(comports()) if each.vid is not None]


def choose(named: str | None, present: Callable[[], list[Port]] = candidates) -> str:
    """Return the port to use: `named`, or the only port that is present. The port is never guessed.

    Raises the errors of `candidates`, and ConfigError `port.none` for no port, `port.several` for several ports.
    """
    if named is not None:
        return named
    ports = present()
    if not ports:
        raise ConfigError(
            "port.none",
            "no board was found. Plug it in with a USB cable that carries data, or name the port with --port",
        )
    if len(ports) > 1:
        listed = "".join(f"\n  --port {port.device}    {port.description}" for port in ports)
        raise ConfigError("port.several", f"there are {len(ports)} ports. Name one of them:{listed}")
    return ports[0].device


def diagnose(port: str) -> TransportError:
    """Return the reason why `port` cannot be opened, with advice: `port.missing`, `port.permission` or `port.busy`."""
    local = port.startswith("/")
    if local and not os.path.exists(port):
        return TransportError("port.missing", f"there is no {port}. Plug the board in and try again")
    if local and not os.access(port, os.R_OK | os.W_OK):
        remedy = "On Linux: sudo usermod -aG dialout $USER, then log out and log in again"
        return TransportError("port.permission", f"this user may not use {port}. {remedy}")
    advice = "Close every serial monitor, editor or other program that uses it, and try again"
    return TransportError("port.busy", f"{port} is in use by another program, or is not a serial port. {advice}")


# --- the board -------------------------------------------------------------------------------------------------------


class Board:
    """A board on `port`. The board may be silent for `answer_seconds` while it is inspected. The argument `after` makes
    the timers, as `threading.Timer` does."""

    def __init__(
        self,
        port: str,
        answer_seconds: float = ANSWER_SECONDS,
        after: Callable[[float, Callable[[], None]], threading.Timer] = threading.Timer,
    ) -> None:
        self.port = port
        self._after = after
        self._answer_seconds = answer_seconds
        self._program = find_program("mpremote")
        self._reached = False

    @contextmanager
    def opened(self) -> Iterator["Board"]:
        """A context in which the lock is stopped. If the board has answered, it restarts at the end of the context."""
        if self.port.startswith("/") and not os.access(self.port, os.R_OK | os.W_OK):
            raise diagnose(self.port)
        try:
            yield self
        except BaseException:
            # Only the first error is reported. On an unplugged board, the restart fails too. This tells nothing new.
            if self._reached:
                self._restart()
            raise
        if not self._restart():
            advice = "Press RESET on the board. Until then the lock does not run"
            raise TransportError("board.restart", f"the board on {self.port} is complete but did not restart. {advice}")

    def _restart(self) -> bool:
        return self._call("resume", "exec", "--no-follow", _RESTART, seconds=self._answer_seconds)[0] == 0

    def inspect(self) -> Found:
        """Ask the board what it is and which files it has.

        Raises TransportError `port.*` if the port fails, `board.silent` if no answer comes, `board.trouble` otherwise.
        """
        script = _INSPECT.replace("ROOMS", repr((*ROOMS, BOOT, MAIN)))
        told: list[Any] = []
        for line in self._reach(script):
            if line.startswith(_MARK):
                self._reached = True
                told.append(_parse(line[1:]))
        if not told or told[-1] is not None:
            raise TransportError("board.trouble", f"the answer from {self.port} ended too early. Try again")
        return _found(told[0], told[1:-1])

    def _reach(self, script: str) -> list[str]:
        # The first call does a soft reset, which ends the lock's program and leaves a clean heap.
        first = [] if self._reached else ["soft-reset", "+"]
        for _ in range(1, _ATTEMPTS):
            try:
                return self._run("resume", *first, "exec", script, seconds=self._answer_seconds)
            except TransportError as error:
                if error.code != "board.silent":
                    raise
        return self._run("resume", *first, "exec", script, seconds=self._answer_seconds)

    def apply(self, plan: Plan, stage: Stage, progress: Callable[[int, int, str], None]) -> None:
        """Carry out `plan`, which must not be empty. `progress(number, of, path)` is called before each file is sent.

        Raises TransportError `port.lost` if the board disappears, `transfer.failed` if mpremote fails,
        `transfer.verify` if the board's files differ from those that were sent. After `transfer.verify`, the board does
        not start the lock.
        """
        removed = list(dict.fromkeys([MAIN, *plan.remove]))
        self._prepare(removed, plan.remove_folders, plan.make_folders)
        commands: list[str] = []
        for number, entry in enumerate(plan.write):
            if number % 8 == 0:
                commands += ["exec", _FEED, "+"]
            commands += ["fs", "cp", "-f", str(stage.folder / entry.path), f":/{entry.path}", "+"]
        started = 0
        for line in self._run("resume", *commands[:-1], seconds=_SILENCE_SECONDS, written=True):
            if line.startswith("cp ") and started < len(plan.write):
                progress(started + 1, len(plan.write), plan.write[started].path)
                started += 1
        wrong = sorted(set(self.inspect().files.values()) ^ set(stage.entries), key=lambda entry: entry.path)
        if wrong:
            self._prepare([MAIN], (), ())
            advice = "Send again. If that fails too, the board's flash may be worn out"
            raise TransportError("transfer.verify", f"{wrong[0].path} on the board is not what was sent. {advice}")

    def _prepare(self, remove: list[str], remove_folders: tuple[str, ...], folders: tuple[str, ...]) -> None:
        script = f"REMOVE = {remove!r}\nREMOVE_FOLDERS = {remove_folders!r}\nFOLDERS = {folders!r}\n" + _PREPARE
        self._run("resume", "exec", script, seconds=_SILENCE_SECONDS, written=True)

    def _run(self, *commands: str, seconds: float, written: bool = False) -> list[str]:
        """Do the same as `_call`, but turn mpremote's failures into our errors."""
        status, lines, silent = self._call(*commands, seconds=seconds)
        if status == 0:
            return lines
        said = "\n".join(lines)
        incomplete = " The software on the board is incomplete and does not start. Send again." if written else ""
        if "failed to access" in said:
            reason = diagnose(self.port)
            raise TransportError(reason.code, reason.message + incomplete)
        if any(
            word in said for word in ("SerialException", "Input/output error", "[Errno 5]", "[Errno 6]", "disconnected")
        ):
            raise TransportError(
                "port.lost", f"the board on {self.port} disappeared. Check cable and power, and try again.{incomplete}"
            )
        if silent or "could not enter raw repl" in said:
            if self._reached:
                raise TransportError("port.lost", f"the board on {self.port} stopped answering. Try again.{incomplete}")
            raise TransportError(
                "board.silent",
                f"nothing on {self.port} answers as MicroPython does. Is it the right port? Press RESET on the board "
                "and try again. A new board needs MicroPython first (docs/installing.md)",
            )
        last = next((line.strip() for line in reversed(lines) if line.strip()), "mpremote failed and gave no reason")
        if written:
            raise TransportError("transfer.failed", f"{last}.{incomplete}")
        raise TransportError("board.trouble", f"{self.port}: {last}. Press RESET on the board and try again")

    def _call(self, *commands: str, seconds: float) -> tuple[int, list[str], bool]:
        """Run mpremote. Return the exit status and lines of mpremote, and whether mpremote was silent for `seconds`."""
        command = [*self._program, "connect", self.port, *commands]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            encoding="utf-8",
            errors="replace",
        )
        silent = threading.Event()
        lines: list[str] = []

        def give_up() -> None:
            silent.set()
            process.kill()

        timer = self._after(seconds, give_up)
        timer.start()
        with process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    timer.cancel()
                    lines.append(line.rstrip("\r\n"))
                    timer = self._after(seconds, give_up)
                    timer.start()
                return process.wait(), lines, silent.is_set()
            finally:
                timer.cancel()
                process.kill()


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise TransportError("board.trouble", "what the board sends arrives damaged. Try another cable") from None


def _found(said: Any, listed: list[Any]) -> Found:
    try:
        files = {str(path): Entry(str(path), int(size), str(digest)) for path, size, digest in listed if size >= 0}
        folders = frozenset(str(path) for path, size, _ in listed if size < 0)
        return Found(
            str(said["name"]),
            tuple(int(part) for part in said["version"]),
            str(said["machine"]),
            int(said["free"]),
            int(said["journal"]),
            int(said["mpy"]),
            files,
            folders,
        )
    except (KeyError, TypeError, ValueError):
        raise TransportError(
            "board.trouble", "the board's answer cannot be understood. Press RESET and try again"
        ) from None


# --- deciding --------------------------------------------------------------------------------------------------------


def plan(found: Found, stage: Stage) -> Plan:
    """Return the changes that give the board exactly the software of `stage`."""
    wanted = {entry.path: entry for entry in stage.entries}
    write = {path for path, entry in wanted.items() if found.files.get(path) != entry}
    # An old module does harm, because MicroPython prefers a .py to the .mpy of the same name.
    remove = tuple(sorted(found.files.keys() - wanted.keys()))
    folders = {parent.as_posix() for path in wanted for parent in PurePosixPath(path).parents if parent.name}
    remove_folders = tuple(sorted(found.folders - folders, reverse=True))
    if write or remove or remove_folders:
        write.add(MAIN)  # this file is removed before anything else changes, and written last
    ordered = sorted(write, key=lambda path: (path == MAIN, path))
    make_folders = tuple(sorted(folders - found.folders))
    return Plan(tuple(wanted[path] for path in ordered), remove, remove_folders, make_folders, len(wanted) - len(write))


def check(found: Found, stage: Stage, planned: Plan) -> None:
    """Check that this board can run the lock.

    Raises ConfigError `board.interpreter`, `board.old`, `board.journal`, `board.mpy` or `board.full` for what is wrong.
    """
    version = ".".join(map(str, found.version))
    if found.name != "micropython":
        raise ConfigError(
            "board.interpreter",
            f"the board runs {found.name}, and the lock needs MicroPython. Install it (docs/installing.md)",
        )
    if found.version[:2] < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise ConfigError("board.old", f"the board has MicroPython {version}. Install {least} or newer first")
    if not found.journal:
        raise ConfigError(
            "board.journal",
            "the board has no partition named journal. Write the partition table that `flash.py partitions` prints "
            "(docs/installing.md)",
        )
    for entry in stage.entries:
        if entry.path.endswith(".mpy"):
            needs, sub_version, architecture = compiled_for((Path(stage.folder) / entry.path).read_bytes())
            fits = needs == found.mpy & 0xFF
            if fits and architecture is not None:
                fits = architecture == found.mpy >> 10 & 15 and sub_version == found.mpy >> 8 & 3
            if not fits:
                raise ConfigError(
                    "board.mpy",
                    f"{entry.path} was compiled for another board. Stage again with another --arch",
                )
    # A file that is overwritten frees its blocks only when the new file is closed. So the largest file counts twice.
    after = sum(_blocks(entry.size) for entry in stage.entries) - sum(_blocks(e.size) for e in found.files.values())
    need = (
        after
        + max((_blocks(entry.size) for entry in planned.write), default=0)
        + 2 * _BLOCK * len(planned.make_folders)
    )
    if planned.write and need + RESERVE > found.free:
        raise ConfigError(
            "board.full",
            f"the board has {found.free} bytes free, but {need} are needed, and {RESERVE} must stay free. Remove files "
            "of your own from the board, or stage with --compile",
        )


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
