"""The stay keys in flash. Each guest who checked in has at most one key. The keys are in a separate file, and are wiped
when the stay ends.

A key opens this door for the rest of the stay. The key itself does not tell who has it. The key is written after the
check-in's record is durable and the strike has moved. If a power cut loses the key, the guest only has to show the
document once more.
"""

from protocol import cbor, const
from protocol.errors import StorageError
from protocol.stay_key import KEY_BYTES, MAX_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from firmware.memory.store import Store

    Guest = tuple[bytes, bytes]

_FILE = const("stay-keys")


class StayKeys:
    """The stay keys from flash. A guest is a pair, as in `firmware.door.reentry`. Raises StorageError
    `stay-keys.corrupt`."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._keys: list[tuple[Guest, bytes]] = []
        raw = store.read(_FILE)
        if raw is not None:
            self._load(cbor.decode(raw))

    def _load(self, saved: "Any") -> None:
        try:
            for grant_id, document, key in saved:
                if len(key) != KEY_BYTES:
                    raise ValueError
                self._keys.append(((grant_id, document), key))
        except (TypeError, ValueError):
            raise StorageError("stay-keys.corrupt", "the file of stay keys is malformed")

    def _save(self) -> None:
        self._store.write(_FILE, cbor.encode([[guest[0], guest[1], key] for guest, key in self._keys]))

    def add(self, guest: "Guest", key: bytes) -> None:
        """Keep `key` for `guest`, in place of an earlier key of this guest. If there are more than MAX_KEYS keys, the
        oldest key is wiped. Raises StorageError."""
        kept = [entry for entry in self._keys if entry[0] != guest]
        self._keys = (kept + [(guest, key)])[-MAX_KEYS:]
        self._save()

    def retain(self, guests: "Sequence[Guest]") -> None:
        """Wipe all keys except those of `guests`. Raises StorageError; the keys are wiped from RAM even then."""
        kept = [entry for entry in self._keys if entry[0] in guests]
        if len(kept) < len(self._keys):
            self._keys = kept
            self._save()

    def of(self, guests: "Sequence[Guest]") -> "list[tuple[Guest, bytes]]":
        """Return a pair (guest, key) for each of `guests` who has a key."""
        return [entry for entry in self._keys if entry[0] in guests]
