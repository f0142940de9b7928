"""`python -m tests.benchmarks.rv32 ELF`: runs the firmware on MicroPython for RV32 in qemu, and prints the cost.

ELF is MicroPython for qemu's machine `virt`. docs/performance.md says how to make ELF. Exit code 0 means that every row
was counted. 1 means that some rows were not counted. 2 means that ELF or qemu is missing.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from protocol.command_line_cpython import DONE, INTERRUPTED, NO, UNUSABLE, Parser, error_line, failure
from protocol.errors import ConfigError, MooringError
from sim.arguments import whole_number
from tests.benchmarks.rv32 import budget, elf, image, page, run, table


def parser() -> Parser:
    """Return the parser of the command line."""
    made = Parser(prog="python -m tests.benchmarks.rv32", description=__doc__.splitlines()[0])
    made.add_argument("elf", nargs="?", type=Path, metavar="ELF", help="MicroPython for qemu's machine virt, RV32")
    kilobytes = whole_number(64, 960)
    made.add_argument("--heap", type=kilobytes, default=200, help="KB of heap for the counts (default: %(default)s)")
    made.add_argument("--only", choices=("crypto", "lock", "collector", "heap"), help="count only this part")
    made.add_argument("--record", action="store_true", help="write the counts into docs/performance.md too")
    made.add_version("rv32")
    made.add_json()
    return made


def check(path: Path | None) -> Path:
    """Return the ELF file to run. Raises ConfigError `elf.missing`, `qemu.missing`, and the errors of `elf.symbol`."""
    if path is None:
        raise ConfigError(
            "elf.missing",
            "no ELF file was given. Build MicroPython's ports/qemu for VIRT_RV32 as docs/performance.md says, and give "
            "its firmware.elf",
        )
    elf.symbol(path, "mp_state_ctx")
    if shutil.which("qemu-system-riscv32") is None:
        raise ConfigError("qemu.missing", image.QEMU)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit code."""
    given = parser().parse_args(arguments)
    try:
        path = check(given.elf)
        counts = asyncio.run(_count(path, given.heap * table.KB, given.only))
    except KeyboardInterrupt:
        return INTERRUPTED
    except MooringError as error:
        print(error_line(error.code, error.message), file=sys.stderr)
        if given.json:
            print(json.dumps(failure(error.code, error.message, UNUSABLE)))
        return UNUSABLE
    tables = table.lines(counts), table.objects(counts), table.curve_lines(counts), budget.lines(counts)
    for line in [line for each in tables for line in ["", *each]][1:]:
        print(line)
    if given.record:
        page.record(counts)
    complete = all(row.name in counts for row in table.ROWS)
    if given.json:
        print(json.dumps({"ok": complete, "counts": counts, "exit_code": DONE if complete else NO}))
    return DONE if complete else NO


async def _count(path: Path, heap: int, only: str | None) -> dict[str, int]:
    counts: dict[str, int] = {}
    frozen = elf.freezes(path)
    _say(f"the lock's modules are {'frozen in' if frozen else 'no part of'} {path.name}")
    with tempfile.NamedTemporaryFile() as content:
        content.write(image.romfs(frozen))
        content.flush()
        machine = run.Machine("rv32", "qemu", str(path), content=content.name, bytes=heap)
        parts = {"crypto": run.crypto, "lock": run.lock, "collector": run.collector, "heap": run.heap}
        for part, count in parts.items():
            if only in (None, part):
                try:
                    await count(machine, counts, _say)
                except MooringError as error:
                    _say(f"{part}: {error_line(error.code, error.message)}")
    return counts


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
