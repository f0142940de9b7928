"""Extracts of revocation lists. An extract is a file of sorted records, which a tap can search fast with little memory.

An issuer's own list is long, compressed or deeply nested. Reading such a list would take more time and memory than a
tap has. So the lock reads the list once, when it arrives, and writes this extract:

    SHA-256 of the statement it was made from (32), bytes of the status list (4), records of equal length, sorted

The numbers in parentheses are lengths in bytes. For a status list, a record has the offset (3) and value (1) of a byte
in which at least one document is not valid. For other lists, a record is the first eight bytes of SHA-256 over a serial
number or an identifier.
"""

from hashlib import sha256

from protocol import const
from protocol.inflate import RECORD, Sparse
from protocol.status_token import MAX_INFLATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from firmware.memory.store import Store

_HEAD = const(36)
_NAME = const(8)

MAX_ENTRIES = 4096
"""Maximum number of records in the extract of a status list. A list for up to 32,768 documents cannot have more
records. A longer list with more records usually does not fit into a statement, even if the list is compressed."""


def extract_of_names(statement: bytes, names: "Iterable[bytes]") -> "Iterator[bytes]":
    """Yield the parts of the extract for a list that revokes `names` (serial numbers or identifiers)."""
    yield sha256(statement).digest() + bytes(4)
    yield from sorted([_fingerprint(name) for name in names])


def extract_of_status(statement: bytes, compressed: bytes) -> "Iterator[bytes | bytearray]":
    """Yield the parts of the extract for the status list `compressed`.

    Raises FormatError `status-list.zlib` if the list cannot be inflated, `status-list.too_long` if it inflates to more
    than MAX_INFLATED bytes, `status-list.too_dense` if its extract would have more than MAX_ENTRIES records.
    """
    sparse = Sparse(compressed, MAX_INFLATED, MAX_ENTRIES)
    yield sha256(statement).digest() + sparse.size.to_bytes(4, "big")
    yield from sparse.pages


def is_of(store: "Store", file: str, statement: bytes) -> bool:
    """Return whether `file` has an extract that was made from `statement`."""
    return store.read_part(file, 0, 32) == bytes(sha256(statement).digest())


def names(store: "Store", file: str, name: bytes) -> bool:
    """`name` is a serial number or an identifier. Return whether the extract in `file` says that `name` is revoked."""
    wanted = _fingerprint(name)
    return _find(store, file, _NAME, wanted) == wanted


def byte_of_status(store: "Store", file: str, offset: int) -> "int | None":
    """Return byte `offset` of the status list, or None if the list is shorter."""
    if offset >= int.from_bytes(store.read_part(file, 32, 4), "big"):
        return None
    wanted = offset.to_bytes(3, "big")
    found = _find(store, file, RECORD, wanted)
    return found[3] if found[:3] == wanted else 0


def _fingerprint(name: bytes) -> bytes:
    return bytes(sha256(name).digest())[:_NAME]


def _find(store: "Store", file: str, length: int, wanted: bytes) -> bytes:
    """Return the first record that is equal to `wanted` or sorts after `wanted`. Return no bytes if there is no such
    record."""
    low, high = 0, (store.size(file) - _HEAD) // length
    while low < high:
        middle = low + high >> 1
        if store.read_part(file, _HEAD + middle * length, length) < wanted:
            low = middle + 1
        else:
            high = middle
    return store.read_part(file, _HEAD + low * length, length)
