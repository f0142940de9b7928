"""The error tree. Every refusal has a stable, dotted `code` that people, logs and tests may rely on.

A message explains the error to people. A message never holds personal data, because it may be logged.
"""


class MooringError(Exception):
    """Root of the tree. `code` is stable across releases, and `message` is for people."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.code + (": " + self.message if self.message else "")


class FormatError(MooringError):
    """The bytes are not in the form they must have (truncated, trailing, too deep, wrong type)."""


class VerificationError(MooringError):
    """The data is well-formed, but not authentic, not valid now, or not from a trusted party."""


class RefusedError(MooringError):
    """The data is authentic, but the door's rules say no (no grant, outside the stay, clock not yet known)."""


class TransportError(MooringError):
    """The other side fell silent, went away or broke the transport's protocol."""


class StorageError(MooringError):
    """Flash or disk failed: it is full, worn or corrupt."""


class ConfigError(MooringError):
    """A setting, a file or a command line is wrong. The message says what to correct."""
