"""The common form of all commands: their arguments, and their answers to people and to programs (CPython only).

docs/commands.md describes this form. Nothing is printed here, because each command prints what these functions return.
"""

import argparse
from typing import Any, NoReturn

from protocol import VERSION

DONE, NO, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes that mean the same in every command. 130 is 128 plus the number of SIGINT, as in every shell."""


class Parser(argparse.ArgumentParser):
    """A parser that accepts no abbreviated options and reports errors in the form of `error_line`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def add_version(self, name: str) -> None:
        """Add `--version`, which prints `name` and the version of Mooring."""
        self.add_argument("--version", action="version", version=f"{name} {VERSION}", help="print the version, and end")

    def add_json(self) -> None:
        """Add `--json`, which asks for output that programs can read."""
        self.add_argument("--json", action="store_true", help="print one JSON object last on stdout")

    def error(self, message: str) -> NoReturn:
        """End the program with UNUSABLE."""
        self.exit(UNUSABLE, error_line("command.usage", f"{message}. See {self.prog} --help") + "\n")


def error_line(code: str, message: str) -> str:
    """Return an error as people read it on stderr. The line has the code, a sentence about the error, and what to
    do."""
    text = message.strip() or "it failed, and nothing more is known"
    return f"{code}: {text}" + ("" if text.endswith((".", "!", "?")) else ".")


def failure(code: str, message: str, status: int) -> dict[str, Any]:
    """Return an error as an object for programs. With --json, the last line of stdout is this object. `status` is the
    exit code."""
    return {"ok": False, "error": {"code": code, "message": message}, "exit_code": status}
