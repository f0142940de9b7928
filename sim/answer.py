"""How the simulator's commands end when something fails: one line for people, and with --json one object as well."""

import json
import sys

from protocol.command_line_cpython import INTERRUPTED, UNUSABLE, error_line, failure
from protocol.errors import MooringError


def failed(error: BaseException, as_json: bool = False) -> int:
    """Say what went wrong, and return the exit code. `error` is a MooringError, an OSError or a KeyboardInterrupt.

    A machine that cannot run the simulator breaks no promise, so an OSError has the code of an unusable command line.
    """
    status = UNUSABLE
    if isinstance(error, MooringError):
        code, message = error.code, error.message
    elif isinstance(error, KeyboardInterrupt):
        code, message, status = "interrupted", "stopped by Ctrl-C before the end", INTERRUPTED
    else:
        code, message = "sim.system", f"this machine could not do what was needed: {error}"
    print(error_line(code, message), file=sys.stderr)
    if as_json:
        print(json.dumps(failure(code, message, status)))
    return status
