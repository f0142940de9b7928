"""The stay keys at rest: one for each guest who checked in, in a file of their own, gone with the stay.

A key is worth an opening of this door for the rest of the stay, and says nothing of whose it is. It is written after
the check-in's record is durable and the strike has moved: one that a power cut loses costs its guest another look at
their phone, no more.
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
    """Opened from flash. A guest is as in `firmware.door.reentry`. Raises StorageError `stay-keys.corrupt`."""

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
            raise StorageError("stay-keys.corrupt", "not the form of stay keys")

    def _save(self) -> None:
        self._store.write(_FILE, cbor.encode([[guest[0], guest[1], key] for guest, key in self._keys]))

    def add(self, guest: "Guest", key: bytes) -> None:
        """Hold `key` for `guest`, in place of one held before. Raises StorageError. The oldest of too many goes."""
        kept = [entry for entry in self._keys if entry[0] != guest]
        self._keys = (kept + [(guest, key)])[-MAX_KEYS:]
        self._save()

    def retain(self, guests: "Sequence[Guest]") -> None:
        """Wipe the keys of everyone else. Raises StorageError; then they are wiped from RAM all the same."""
        kept = [entry for entry in self._keys if entry[0] in guests]
        if len(kept) < len(self._keys):
            self._keys = kept
            self._save()

    def of(self, guests: "Sequence[Guest]") -> "list[tuple[Guest, bytes]]":
        """(guest, key) of those of `guests` who have one."""
        return [entry for entry in self._keys if entry[0] in guests]
