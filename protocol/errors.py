"""The error tree. Every refusal carries a stable, dotted `code` that people, logs and tests may rely on.

A message may explain; it never holds personal data, because it may reach a log.
"""


class MooringError(Exception):
    """Root of the tree. `code` is stable across releases, `message` is for people."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.code + (": " + self.message if self.message else "")


class FormatError(MooringError):
    """The bytes are not in the form they must have (truncated, trailing, too deep, wrong type)."""


class VerificationError(MooringError):
    """Well-formed, but not authentic, not valid now, or not from a party we trust."""


class RefusedError(MooringError):
    """Authentic, but the door's rules say no (no grant, outside the stay, clock not yet known)."""


class TransportError(MooringError):
    """The other side fell silent, went away or broke the protocol of its transport."""


class StorageError(MooringError):
    """Flash or disk did not do what it must: full, worn, corrupt."""


class ConfigError(MooringError):
    """A setting, a file or a command line that people can mend; the message says how."""
