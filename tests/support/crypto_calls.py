"""Calls of `firmware.crypto` as plain data, so that CPython and MicroPython can run the same list of calls."""

from typing import Any

from firmware import crypto
from protocol.errors import VerificationError
from tests.support.on_lock import run_on_lock

Call = tuple[str, list[Any]]
"""Name and arguments of a function. The name contains a dot if the function is in a module of the package."""

_BATCH = 40

_ON_LOCK = """
from firmware import crypto
from protocol.errors import VerificationError

def unpacked(value):
    return bytes.fromhex(value[4:]) if isinstance(value, str) and value[:4] == "hex:" else value

def packed(value):
    if isinstance(value, (tuple, list)):
        return [packed(one) for one in value]
    return "hex:" + value.hex() if isinstance(value, bytes) else value

def called(name, arguments):
    function = crypto
    for part in name.split("."):
        function = getattr(function, part)
    try:
        return packed(function(*[unpacked(one) for one in arguments]))
    except VerificationError as refusal:
        return "refused: " + refusal.code
    except ValueError:
        return "ValueError"

answer([called(name, arguments) for name, arguments in given])
"""


def on_cpython(calls: list[Call], package: Any = crypto) -> list[Any]:
    """Make `calls` of `package` on CPython. Return the result of each call: its value, "refused: <code>" or
    "ValueError"."""
    answers: list[Any] = []
    for name, arguments in calls:
        function = package
        for part in name.split("."):
            function = getattr(function, part)
        try:
            answers.append(function(*arguments))
        except VerificationError as refusal:
            answers.append("refused: " + refusal.code)
        except ValueError:
            answers.append("ValueError")
    return answers


def on_micropython(calls: list[Call]) -> list[Any]:
    """Make `calls` on the lock's interpreter, in batches that fit into the lock's heap. Return results as above."""
    given = [(name, [_packed(argument) for argument in arguments]) for name, arguments in calls]
    answers = []
    for start in range(0, len(given), _BATCH):
        answers += [_unpacked(value) for value in run_on_lock(_ON_LOCK, given[start : start + _BATCH])]
    return answers


RUNTIMES = {"cpython": on_cpython, "micropython": on_micropython}


def _packed(value: Any) -> Any:
    return "hex:" + value.hex() if isinstance(value, bytes) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unpacked(one) for one in value)
    return bytes.fromhex(value[4:]) if isinstance(value, str) and value.startswith("hex:") else value
