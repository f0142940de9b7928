"""The province's two keys: one signs statements, one opens sealed records.

Test keys, made on the spot; no real province keeps both on one disk.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from protocol import crypto_cpython as crypto
from protocol.crypto import COORDINATE_BYTES
from protocol.errors import ConfigError, VerificationError
from sim.province.store import DATABASE

_FILE = "keys.json"


@dataclass(frozen=True)
class Keys:
    """Private scalars (32 bytes) and public points (65 bytes) of the signing and of the sealing key, both P-256."""

    signing_private: bytes
    signing_public: bytes
    sealing_private: bytes
    sealing_public: bytes

    @staticmethod
    def generate() -> "Keys":
        """Fresh keys."""
        return Keys(*crypto.generate("P-256"), *crypto.generate("P-256"))

    @staticmethod
    def load_or_generate(folder: Path) -> "Keys":
        """The keys kept in `folder`, made and written there (mode 0600) the first time.

        Raises ConfigError `province.keys` when the file does not hold two keys, or is gone from a province that has
        worked with them: every lock has pinned the one, and what they sealed opens with the other alone.
        """
        path = folder / _FILE
        has_worked = (folder / DATABASE).exists()
        if not path.exists():
            if has_worked:
                raise ConfigError("province.keys", f"{path} is gone. Restore it, because locks know no other keys")
            keys = Keys.generate()
            text = json.dumps({"signing": keys.signing_private.hex(), "sealing": keys.sealing_private.hex()})
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            return keys
        try:
            held = json.loads(path.read_text())
            signing, sealing = _pair(held["signing"]), _pair(held["sealing"])
        except (ValueError, KeyError, TypeError, VerificationError):
            raise ConfigError(
                "province.keys",
                f"{path} does not contain a province's keys. Restore it, because locks know no other keys",
            ) from None
        return Keys(*signing, *sealing)


def _pair(text: str) -> tuple[bytes, bytes]:
    private = bytes.fromhex(text)
    if len(private) != COORDINATE_BYTES["P-256"]:
        raise ValueError("no scalar of P-256")
    return private, crypto.public("P-256", private)
