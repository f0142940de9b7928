"""What a list says is revoked, in a form that a tap can search quickly with little memory: a file of sorted records.

An issuer's own list is long, compressed or deeply nested. Reading it takes more time and memory than a tap has. So it
is read once, when it comes, and its extract is written:

    SHA-256 of the statement it was made from (32), bytes of the status list (4), records of equal length, sorted

For a status list, a record is the offset (3) and value (1) of a byte that is not all valid. For other lists, it is the
first eight bytes of SHA-256 over a serial number or an identifier.
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
"""Most bytes of a status list that are not all valid. A list of up to 32,768 documents cannot have more. A longer list
with more of them usually does not fit a statement, even compressed."""


def extract_of_names(statement: bytes, names: "Iterable[bytes]") -> "Iterator[bytes]":
    """The extract, in parts, of a list that revokes `names`, which are serial numbers or identifiers."""
    yield sha256(statement).digest() + bytes(4)
    yield from sorted([_fingerprint(name) for name in names])


def extract_of_status(statement: bytes, compressed: bytes) -> "Iterator[bytes | bytearray]":
    """The extract, in parts, of a status list.

    Raises FormatError `status-list.zlib`, `status-list.too_long` if it inflates to more than MAX_INFLATED bytes,
    `status-list.too_dense` if it has more than MAX_ENTRIES bytes to remember.
    """
    sparse = Sparse(compressed, MAX_INFLATED, MAX_ENTRIES)
    yield sha256(statement).digest() + sparse.size.to_bytes(4, "big")
    yield from sparse.pages


def is_of(store: "Store", file: str, statement: bytes) -> bool:
    """Is there an extract in `file` that was made from `statement`?"""
    return store.read_part(file, 0, 32) == bytes(sha256(statement).digest())


def names(store: "Store", file: str, name: bytes) -> bool:
    """Is the serial number or identifier `name` among the revoked ones?"""
    wanted = _fingerprint(name)
    return _find(store, file, _NAME, wanted) == wanted


def byte_of_status(store: "Store", file: str, offset: int) -> "int | None":
    """Byte `offset` of the status list, or None if the list is shorter."""
    if offset >= int.from_bytes(store.read_part(file, 32, 4), "big"):
        return None
    wanted = offset.to_bytes(3, "big")
    found = _find(store, file, RECORD, wanted)
    return found[3] if found[:3] == wanted else 0


def _fingerprint(name: bytes) -> bytes:
    return bytes(sha256(name).digest())[:_NAME]


def _find(store: "Store", file: str, length: int, wanted: bytes) -> bytes:
    """The first record that does not sort before `wanted`. Empty if there is none."""
    low, high = 0, (store.size(file) - _HEAD) // length
    while low < high:
        middle = low + high >> 1
        if store.read_part(file, _HEAD + middle * length, length) < wanted:
            low = middle + 1
        else:
            high = middle
    return store.read_part(file, _HEAD + low * length, length)
