"""The laptop's side of the maintenance console (console.cddl). This module reads the answers that a lock writes."""

from dataclasses import dataclass
from typing import Any

from protocol import record, statement
from protocol.console import decode
from protocol.errors import FormatError

UP_LIMIT = record.MAX_BYTES + 512
"""Maximum size of a message from a lock, in bytes. The longest record fits into such a message."""

BUTTONS = ("absent", "stuck", "open", "held")
"""States of the inside button. "absent" means that no button is fitted. "stuck" means that the button was held for too
long, or was never seen open since the lock started."""


@dataclass(frozen=True)
class Status:
    """A lock's report about itself.

    `lock_id` is None if the lock cannot open its memory. `next_counter` is the counter of the lock's next record, or 0
    while the lock's journal is not open. `receipted_through` is the last counter with a receipt. `placed` says whether
    the lock holds placement, trust list and profile. `timed` says whether the lock knows the time. `free` is the free
    heap in bytes. `up` is the number of milliseconds since the lock started. This number wraps to 0 after six days.
    `button` is one of BUTTONS. `halted` is the code of the error that keeps the lock from serving, or None.
    """

    lock_id: bytes | None
    next_counter: int
    receipted_through: int
    placed: bool
    timed: bool
    free: int
    up: int
    button: str
    halted: str | None


def answer(line: bytes) -> tuple[int, str | None, Any]:
    """Return (number of the request, code of the refusal or None, content) of an answer. Raises FormatError as
    `decode`."""
    number, code, content = decode(line)
    if not (code is None or statement.is_label(code)) or (code is not None and content is not None):
        raise FormatError("console.form", "an answer has either a content or a code")
    return number, code, content


def status(content: Any) -> Status:
    """Return the content of an answer to `status`. Raises FormatError `console.form`."""
    if not isinstance(content, list) or len(content) != 10 or not statement.is_version_1(content[0]):
        raise FormatError("console.form", "not a status of version 1")
    _, lock_id, next_counter, through, placed, timed, free, up, button, halted = content
    good = lock_id is None or statement.is_bytes16(lock_id)
    good = good and all(statement.is_uint(number) for number in (next_counter, through, free, up, button))
    good = good and statement.is_bool(placed) and statement.is_bool(timed)
    if not good or button >= len(BUTTONS) or not (halted is None or statement.is_label(halted)):
        raise FormatError("console.form", "not a status")
    return Status(lock_id, next_counter, through, placed, timed, free, up, BUTTONS[button], halted)


def lines(content: Any) -> list[str]:
    """Return the content of an answer to `log`. Raises FormatError `console.form`."""
    if not isinstance(content, bytes):
        raise FormatError("console.form", "not a log")
    # A log may come from anyone's board. A terminal would obey its control characters, so they are replaced.
    text = content.decode("ascii", "replace")
    return ["".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in text.splitlines()]


def exported(content: Any) -> record.Record | None:
    """Return the content of an answer to `export`: the next record, which is not verified, or None. Raises the errors
    of `record.parse`, and FormatError `console.form` for any other content."""
    if content is None:
        return None
    if not isinstance(content, list) or len(content) != 2 or not isinstance(content[1], bytes):
        raise FormatError("console.form", "not a record")
    found = record.parse(content[1])
    if found.counter != content[0]:
        raise FormatError("console.form", "the record has another counter than the answer states")
    return found


def inputs(content: Any) -> dict[str, bool]:
    """Return the content of an answer to `inputs`. Raises FormatError `console.form`."""
    if not isinstance(content, dict) or not all(statement.is_label(key) for key in content):
        raise FormatError("console.form", "not inputs")
    if not all(statement.is_bool(value) for value in content.values()):
        raise FormatError("console.form", "not inputs")
    return content
