"""Output and exit code of a command that fails: it prints one line for people, and with --json also one object."""

import json
import sys

from protocol.command_line_cpython import INTERRUPTED, UNUSABLE, error_line, failure
from protocol.errors import MooringError


def failed(error: BaseException, as_json: bool = False) -> int:
    """Print `error` and return the exit code. `error` is a MooringError, an OSError or a KeyboardInterrupt.

    An OSError gives the exit code of an unusable command line: this machine cannot run the simulator, but no promise is
    broken.
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
