"""Fittings: a file in which the installer writes what is wired to a lock (fittings.cddl). It is JSON, so people can
read it.

The file needs no signature. To write it, a person must hold the inside button, or must be able to replace the firmware.
"""

import json

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


class Fittings:
    """`fail_safe` says whether current holds the strike shut. Such a strike opens when the power fails. `inputs` names
    the switches of INPUTS that are wired. Each input is a loop that is closed to ground at rest. `announce` is a phone
    maker's polling frame without its CRC. The NFC reader sends this frame when nobody is there, unless `announce` is
    empty. `button` says whether there is a button inside. The button grounds its pin while it is held.
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
        for name in told:
            if name not in ("strike", "inputs", "held_seconds", "announce", "button"):
                raise ConfigError(
                    "fittings.form", "an unknown member; known are strike, inputs, held_seconds, announce, button"
                )
        strike = told.get("strike", FAIL_SECURE)
        if strike not in (FAIL_SECURE, FAIL_SAFE):
            raise ConfigError("fittings.form", "strike is fail-secure or fail-safe")
        inputs = told.get("inputs", [])
        if not isinstance(inputs, list) or any(name not in INPUTS for name in inputs) or len(set(inputs)) < len(inputs):
            raise ConfigError("fittings.form", "inputs is a list of some of: " + ", ".join(INPUTS))
        held = told.get("held_seconds", HELD_SECONDS)
        if not isinstance(held, int) or isinstance(held, bool) or not 1 <= held <= 3600:
            raise ConfigError("fittings.form", "held_seconds is a whole number from 1 to 3600")
        announce = told.get("announce", "")
        if not isinstance(announce, str) or len(announce) % 2 or len(announce) > 2 * LONGEST_FRAME:
            raise ConfigError("fittings.form", "announce is a frame of at most 32 bytes in hex")
        if any(digit not in "0123456789abcdef" for digit in announce):
            raise ConfigError("fittings.form", "announce is a frame in hex, in lower case")
        button = told.get("button", False)
        if not isinstance(button, bool):
            raise ConfigError("fittings.form", "button is true or false")
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
