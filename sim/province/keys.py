"""The province's two keys: one signs statements, the other opens sealed records.

They are test keys. A real province would not keep both on one disk.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.crypto import COORDINATE_BYTES
from protocol.errors import ConfigError, VerificationError
from sim.province.database import DATABASE

_FILE = "keys.json"


@dataclass(frozen=True)
class Keys:
    """The signing key and the sealing key, both P-256: private scalars (32 bytes) and public points (65 bytes)."""

    signing_private: bytes
    signing_public: bytes
    sealing_private: bytes
    sealing_public: bytes

    def sign(self, kind: str, body: dict[Any, Any]) -> bytes:
        """Return a statement of the province."""
        return statement.sign(crypto, self.signing_private, kind, body)

    @staticmethod
    def generate() -> "Keys":
        """Fresh keys."""
        signing, sealing = _pair(crypto.generate("P-256")[0]), _pair(crypto.generate("P-256")[0])
        return Keys(*signing, *sealing)

    @staticmethod
    def load_or_generate(folder: Path) -> "Keys":
        """Return the keys in `folder`. The first call makes the keys and writes them into `folder` (mode 0600).

        Raises ConfigError `province.keys` if the file does not have two keys, or if the file is gone from a province
        that was in use. New keys would not help such a province, because every lock has pinned the old signing key, and
        only the old sealing key opens the records.
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
            signing, sealing = _pair(bytes.fromhex(held["signing"])), _pair(bytes.fromhex(held["sealing"]))
        except (ValueError, KeyError, TypeError, VerificationError):
            raise ConfigError(
                "province.keys",
                f"{path} does not contain a province's keys. Restore it, because locks know no other keys",
            ) from None
        return Keys(*signing, *sealing)


def _pair(private: bytes) -> tuple[bytes, bytes]:
    if len(private) != COORDINATE_BYTES["P-256"]:
        raise ValueError("not a scalar of P-256")
    key = crypto.LoadedKey("P-256", private)
    return key, key.public
