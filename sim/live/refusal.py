"""Requests to the live page that are not served, and defects of the page itself."""

import sys
import traceback

from protocol.command_line_cpython import error_line
from protocol.errors import MooringError


class RequestRefusedError(MooringError):
    """A request that is not served. `status` is the status code of the answer (RFC 9110)."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


def defect(error: Exception) -> str:
    """Report the type and the place of an error to whoever runs the server. Returns the code for the page."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{place.filename}, line {place.lineno}"
    print(error_line("live.defect", f"{type(error).__name__} in {where}. Please report it"), file=sys.stderr)
    return "live.defect"
