"""Fittings: a file in which the installer writes what is wired to a lock (fittings.cddl). The file is JSON, so people
can read it.

The file needs no signature. To write the file, a person must hold the inside button, or must be able to replace the
firmware.
"""

import json

from protocol import statement
from protocol.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

FILE = "fittings"
"""Name of the file in the lock's state folder."""

FAIL_SECURE = "fail-secure"
FAIL_SAFE = "fail-safe"

INPUTS = ("contact", "handle", "key", "tamper")
"""Switches that may be wired: the door's contact, the inside handle, the mechanical key's cylinder, the cover."""

LONGEST = 512
"""Maximum number of bytes in the file."""

LONGEST_FRAME = 32
"""Maximum number of bytes in a polling frame without its CRC."""

HELD_SECONDS = 60
"""Number of seconds that a door may stay open before this is recorded, unless the fittings give another number."""


def _is_inputs(value: "Any") -> bool:
    return statement.is_list(value, 0, len(INPUTS), statement.is_choice, *INPUTS) and len(set(value)) == len(value)


def _is_frame(value: "Any") -> bool:
    if not statement.is_text(value, 2 * LONGEST_FRAME) or len(value) % 2:
        return False
    return all(digit in "0123456789abcdef" for digit in value)


_MEMBERS = (
    ("strike", FAIL_SECURE, FAIL_SECURE + " or " + FAIL_SAFE, statement.is_choice, FAIL_SECURE, FAIL_SAFE),
    ("inputs", (), "a list of some of: " + ", ".join(INPUTS), _is_inputs),
    ("held_seconds", HELD_SECONDS, "a whole number from 1 to 3600", statement.is_positive, 3600),
    ("announce", "", "a frame of at most 32 bytes in hex, in lower case", _is_frame),
    ("button", False, "true or false", statement.is_bool),
)
"""The members of the file: the name, the value if the member is absent, what the value must be, the rule that checks
it, and the bounds of the rule."""


class Fittings:
    """`fail_safe` says whether an electric current holds the strike shut. Such a strike opens when the power fails.
    `inputs` names the switches of INPUTS that are wired. Each input is a loop that is closed to ground at rest.
    `announce` is a phone maker's polling frame without its CRC. The NFC reader sends this frame when nobody is there,
    unless `announce` is empty. `button` says whether there is a button inside. The button grounds its pin while it is
    held.
    """

    def __init__(
        self,
        fail_safe: bool = False,
        inputs: "tuple[str, ...]" = (),
        held_seconds: int = HELD_SECONDS,
        announce: bytes = b"",
        button: bool = False,
    ) -> None:
        self.fail_safe = fail_safe
        self.inputs = inputs
        self.held_seconds = held_seconds
        self.announce = announce
        self.button = button

    def check(self, inputs: "Container[str]") -> None:
        """Check that each wired input is one of `inputs`, the inputs of the board. Raises ConfigError `fittings.input`;
        its message says what to correct."""
        for name in self.inputs:
            if name not in inputs:
                raise ConfigError("fittings.input", "this board has no input " + name + ". Take it out of the fittings")

    @staticmethod
    def parse(data: bytes) -> "Fittings":
        """Return the fittings in `data`. Raises ConfigError `fittings.form`; its message says what to correct."""
        if len(data) > LONGEST:
            raise ConfigError("fittings.form", "longer than 512 bytes")
        try:
            told = json.loads(data.decode())
        except ValueError:  # the JSON decoder or the UTF-8 decoder raises this
            told = None
        if not isinstance(told, dict):
            raise ConfigError("fittings.form", "not a JSON object")
        values: list[Any] = []
        for name, absent, wanted, rule, *bounds in _MEMBERS:
            value = told.pop(name, absent)
            if value is not absent and not rule(value, *bounds):
                raise ConfigError("fittings.form", name + " is " + wanted)
            values.append(value)
        if told:
            known = ", ".join([each[0] for each in _MEMBERS])
            raise ConfigError("fittings.form", "an unknown member; known are " + known)
        strike, inputs, held, announce, button = values
        return Fittings(strike == FAIL_SAFE, tuple(inputs), held, bytes.fromhex(announce), button)

    def encode(self) -> bytes:
        """Return the content of the file."""
        told: dict[str, Any] = {
            "strike": FAIL_SAFE if self.fail_safe else FAIL_SECURE,
            "inputs": sorted(self.inputs),
            "held_seconds": self.held_seconds,
            "announce": self.announce.hex(),
            "button": self.button,
        }
        return json.dumps(told).encode()
