"""A request to the live page that is not served."""

from protocol.errors import MooringError


class RequestRefusedError(MooringError):
    """A request that is not served. `status` is the status code of the answer (RFC 9110)."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status
