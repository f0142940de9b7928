"""Messages between lock and edge agent over GATT, and their limits. Sans-IO.

A message is a deterministic CBOR array (`link.cddl`). On every connection, the handshake of `link_session` opens a
session that seals the messages. A sealed message travels in `parts`. A statement too long for one message is sent as an
offer and pieces. If the connection breaks, the next connection continues where the broken connection stopped.
"""

from protocol import VERSION, cbor, statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINK_VERSION = 2
"""Version of these messages, which a HELLO states."""

SERVICE = "4d6f6f72-696e-672d-8a00-000000000001"
DOWN = "4d6f6f72-696e-672d-8a00-000000000002"
"""Characteristic that the edge writes (with response, as flow control)."""
UP = "4d6f6f72-696e-672d-8a00-000000000003"
"""Characteristic that the lock notifies."""
COMPANY = 0xFFFF
"""Company identifier of the advertised manufacturer data: the value for companies without a registered identifier."""

HELLO = 1
RECORD = 2
RESULT = 3
WANT = 4
PULL = 16
DELIVER = 17
OFFER = 18
PIECE = 19

MESSAGE_LIMIT = 8192
"""Maximum size of a sealed message, in bytes. The longest message from a lock is a record."""
PIECE_BYTES = 1024
"""Maximum number of bytes in a statement that is delivered whole, and in a piece of a longer statement. An interruption
costs at most this many bytes. A lock must hold this many bytes twice while it opens a message."""
DOWN_LIMIT = PIECE_BYTES + 32
"""Maximum size of a sealed message to a lock, in bytes."""
CREDIT_LIMIT = 64
"""Maximum number of records that one PULL may ask for. A higher number would not be faster, and the edge's memory must
stay bounded."""
PREFIX_BYTES = 4
"""Number of bytes of the lock id in the advertisement. The 31 bytes of an advertisement have room for these bytes and
for a hint of 2 bytes (`link_initiator.hint`)."""


class Hello:
    """A lock's report about itself.

    `lock_id` is 16 bytes. `next_counter` is the counter of the lock's next record. `receipted_through` is the last
    counter that a receipt covers, or 0 before the first receipt. `held` has the serial of each statement that the lock
    holds, by the kind of the statement. `held` must satisfy `statement.is_held`, because the edge passes `held` on.
    `time_nonce` is the 16 bytes that the next signed time must repeat, or None. `identity_public` is the lock's key, a
    65-byte point. `software` is the version of the lock's software.
    """

    def __init__(
        self,
        lock_id: bytes,
        next_counter: int,
        receipted_through: int,
        held: "dict[str, int]",
        time_nonce: "bytes | None",
        identity_public: bytes,
        software: str = VERSION,
    ) -> None:
        self.lock_id = lock_id
        self.next_counter = next_counter
        self.receipted_through = receipted_through
        self.held = held
        self.time_nonce = time_nonce
        self.identity_public = identity_public
        self.software = software

    def repeats(self, other: "Hello | None") -> bool:
        """Return True if this HELLO and the HELLO `other` differ in `next_counter` only, or not at all.

        Each record states its own counter, so a HELLO for each record would only double the number of messages.
        """
        return (
            other is not None
            and self.receipted_through == other.receipted_through
            and self.time_nonce == other.time_nonce
            and self.held == other.held
            and self.lock_id == other.lock_id
            and self.identity_public == other.identity_public
        )

    def encode(self) -> bytes:
        """Return the HELLO message, which goes from lock to edge."""
        return cbor.encode(
            [
                HELLO,
                LINK_VERSION,
                self.lock_id,
                self.next_counter,
                self.receipted_through,
                self.held,
                self.time_nonce,
                self.identity_public,
                self.software,
            ]
        )


def record(sealed_record: bytes) -> bytes:
    """Return the RECORD message (lock to edge): one record as it is in the journal."""
    return cbor.encode([RECORD, sealed_record])


def result(kind: str, code: "str | None") -> bytes:
    """Return the RESULT message (lock to edge): the result for a delivered statement. `code` is None if the statement
    was accepted.
    """
    return cbor.encode([RESULT, kind, code])


def pull(from_counter: int, credit: int) -> bytes:
    """Return the PULL message (edge to lock). The message asks for at most `credit` records, starting with the record
    number `from_counter`. If `credit` is 0, the message asks only for a HELLO.
    """
    return cbor.encode([PULL, from_counter, credit])


def deliver(statement: bytes) -> bytes:
    """Return the DELIVER message (edge to lock): one signed statement of at most PIECE_BYTES."""
    return cbor.encode([DELIVER, statement])


def offer(digest: bytes, size: int) -> bytes:
    """Return the OFFER message (edge to lock): a statement of `size` bytes with this SHA-256. The lock answers with a
    WANT.
    """
    return cbor.encode([OFFER, digest, size])


def want(offset: int) -> bytes:
    """Return the WANT message (lock to edge), which asks for the offered statement from its byte `offset`. The lock has
    all bytes before that byte.
    """
    return cbor.encode([WANT, offset])


def piece(content: bytes) -> bytes:
    """Return the PIECE message (edge to lock): the next bytes of the offered statement. After the last piece, the lock
    answers with a RESULT.
    """
    return cbor.encode([PIECE, content])


def _is_bytes(item: "Any", size: int) -> bool:
    return isinstance(item, bytes) and len(item) == size


def _is_kind(item: "Any") -> bool:
    # In a RESULT, a lock writes the kind "?" if the bytes are not a statement.
    return statement.is_code(item) or (isinstance(item, str) and item == "?")


def _parse_hello(items: "list[Any]") -> Hello:
    # The version comes first. So a later version is recognised even if everything after the version has changed.
    if len(items) < 2 or items[1] != LINK_VERSION or isinstance(items[1], bool):
        raise FormatError("link.version", "a HELLO of a version this side does not speak")
    if len(items) != 9:
        raise _form("HELLO")
    lock_id, next_counter, receipted, held, nonce, public, software = items[2:]
    good = _is_bytes(lock_id, 16) and statement.is_positive(next_counter) and statement.is_uint(receipted)
    good = good and receipted < next_counter and statement.is_held(held)
    good = good and (nonce is None or _is_bytes(nonce, 16))
    if not (good and statement.is_point(public) and statement.is_code(software)):
        raise _form("HELLO")
    return Hello(lock_id, next_counter, receipted, held, nonce, public, software)


def _form(name: str) -> FormatError:
    return FormatError("link.form", "not a " + name + " as link.cddl defines it")


def parse(message: bytes) -> "tuple[Any, ...]":
    """Return the message as a tuple. Its first item is the type of the message.

    `(HELLO, Hello)`, `(RECORD, record)`, `(RESULT, kind, code or None)`, `(WANT, offset)`,
    `(PULL, from_counter, credit)`, `(DELIVER, statement)`, `(OFFER, digest, size)` or `(PIECE, bytes)`.
    Raises FormatError: `cbor.*` and `link.form` for a malformed message, `link.too_long` for a message above
    MESSAGE_LIMIT, `link.version` for a HELLO of another version, `link.type` for an unknown type.
    """
    if len(message) > MESSAGE_LIMIT:
        raise FormatError("link.too_long", "the message exceeds its limit")
    items = cbor.decode_deterministic(message)
    if not isinstance(items, list) or not items or not statement.is_uint(items[0]):
        raise _form("message")
    kind = items[0]
    if kind == HELLO:
        return (HELLO, _parse_hello(items))
    if kind == RECORD or kind == DELIVER or kind == PIECE:
        most = MESSAGE_LIMIT if kind == RECORD else PIECE_BYTES
        if len(items) != 2 or not isinstance(items[1], bytes) or not 0 < len(items[1]) <= most:
            raise _form("RECORD" if kind == RECORD else "DELIVER or PIECE")
        return (kind, items[1])
    if kind == OFFER:
        good = len(items) == 3 and _is_bytes(items[1], 32) and statement.is_uint(items[2])
        if not (good and PIECE_BYTES < items[2] <= statement.MAX_BYTES):
            raise _form("OFFER")
        return (OFFER, items[1], items[2])
    if kind == WANT:
        if len(items) != 2 or not statement.is_uint(items[1]) or items[1] >= statement.MAX_BYTES:
            raise _form("WANT")
        return (WANT, items[1])
    if kind == RESULT:
        if len(items) != 3 or not _is_kind(items[1]) or not (items[2] is None or statement.is_code(items[2])):
            raise _form("RESULT")
        return (RESULT, items[1], items[2])
    if kind == PULL:
        good = len(items) == 3 and statement.is_positive(items[1]) and statement.is_uint(items[2])
        if not (good and items[2] <= CREDIT_LIMIT):
            raise _form("PULL")
        return (PULL, items[1], items[2])
    raise FormatError("link.type", "a message type this side does not know")


def advertisement(lock_id: bytes, hint: bytes) -> bytes:
    """Return the advertising data of a lock, exactly 31 bytes: flags, the service UUID, the start of the lock id, and
    the hint.

    Core Specification Supplement, part A, sections 1.1, 1.3 and 1.4.
    """
    service = bytes.fromhex(SERVICE.replace("-", ""))
    little_endian = bytes(service[15 - i] for i in range(16))
    return (
        b"\x02\x01\x06\x11\x07"
        + little_endian
        + bytes((9, 0xFF, COMPANY & 0xFF, COMPANY >> 8))
        + lock_id[:PREFIX_BYTES]
        + hint
    )
