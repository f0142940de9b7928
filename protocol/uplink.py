"""Messages between edge agent and province over MQTT 5 (uplink.cddl).

Topics hold the edge's name and nothing else. Messages hold records and statements as opaque bytes, which the lock, the
province and the edge verify. A PUBACK comes only from the broker, so it means nothing for custody. Custody of a record
ends only with a receipt.
"""

import json

from protocol import cbor, const, statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _Down = TypeVar("_Down", "Receipts", "Command", "Passes")

ROOT = "mooring/1/"

UP = "up"
RECEIPT = "receipt"
CMD = "cmd"
PASS = "pass"  # noqa: S105  edge passes, not a password
STATE = "state"
LEAVES = (UP, RECEIPT, CMD, PASS, STATE)

PROVINCE_FILTER = "$share/province/mooring/1/+/up"
"""Shared subscription of the province's consumers. Each message goes to only one of the consumers."""

BATCH = 1
TIME_REQUEST = 2
LOCK_SEEN = 3
PASS_REQUEST = 4
CERTIFICATE_REQUEST = 5
"""Types of a message on `up`. The type is the first member of the message."""

MAX_MESSAGE = 131072
"""Maximum size of a message, in bytes. This size is half the limit of the strictest broker in use (rumqttd, as set in
sim/broker.py).
"""
MAX_RECORDS = 256
MAX_STATEMENTS = 256
MAX_PASSES = 32
"""Maximum number of passes of one edge. Together the passes list at most 2048 locks."""
MAX_BYTES = statement.MAX_BYTES
"""Maximum size of a record or a statement, in bytes. A record is shorter than the longest statement."""
MAX_CERTIFICATE = 2048
"""Maximum size of an edge's certificate, or of a request for one, in bytes."""
EDGE_NAME_LENGTH = 32

_EDGE_NAME = const("abcdefghijklmnopqrstuvwxyz0123456789-")
_VERSION = const("abcdefghijklmnopqrstuvwxyz0123456789-.+")


# --- topics ----------------------------------------------------------------------------------------------------------


def is_edge_name(name: "Any") -> bool:
    """Does `name` consist of 1 to 32 characters from a-z, 0-9 and hyphen? Such a name is safe in a topic, a certificate
    name and a broker's access list."""
    return isinstance(name, str) and 0 < len(name) <= EDGE_NAME_LENGTH and all(c in _EDGE_NAME for c in name)


def topic(edge: str, leaf: str) -> str:
    """Return the topic `leaf` (one of LEAVES) of `edge`. Raises FormatError `uplink.topic`."""
    if not is_edge_name(edge) or leaf not in LEAVES:
        raise FormatError("uplink.topic", "not an edge name, or no such topic")
    return ROOT + edge + "/" + leaf


def edge_of(name: str) -> "tuple[str, str]":
    """Return the (edge, leaf) that a topic names. Raises FormatError `uplink.topic`."""
    parts = name[len(ROOT) :].split("/")
    if not name.startswith(ROOT) or len(parts) != 2 or not is_edge_name(parts[0]) or parts[1] not in LEAVES:
        raise FormatError("uplink.topic", "not a topic of an edge")
    return parts[0], parts[1]


# --- messages --------------------------------------------------------------------------------------------------------


class _Message:
    """What all messages have in common. A subclass checks its members in `items`."""

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """Return the message. Raises FormatError `uplink.form` or `uplink.too_long`."""
        data = cbor.encode(self.items())
        if len(data) > MAX_MESSAGE:
            raise FormatError("uplink.too_long", "longer than any message")
        return data


class Batch(_Message):
    """Records for the province. `batch_id` has 8 bytes and is only for logs. Each record is identified by its own
    content."""

    def __init__(self, batch_id: bytes, records: "list[bytes]") -> None:
        self.batch_id = batch_id
        self.records = records

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr(self.batch_id, 8), "batch id")
        _check(_is_list_of_bytes(self.records, 1, MAX_RECORDS), "records")
        return [BATCH, self.batch_id, self.records]


class TimeRequest(_Message):
    """A lock asks for the time. `nonce` has 16 bytes and must be in the signed answer."""

    def __init__(self, lock_id: bytes, nonce: bytes) -> None:
        self.lock_id = lock_id
        self.nonce = nonce

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr(self.lock_id, 16) and _is_bstr(self.nonce, 16), "lock id or nonce")
        return [TIME_REQUEST, self.lock_id, self.nonce]


class LockSeen(_Message):
    """A lock is in reach. The message holds the lock's identity key (65-byte point), and the serial of each kind of
    statement that the lock has."""

    def __init__(self, lock_id: bytes, identity_public: bytes, held: "dict[str, int]") -> None:
        self.lock_id = lock_id
        self.identity_public = identity_public
        self.held = held

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr(self.lock_id, 16), "lock id")
        _check(_is_bstr(self.identity_public, 65) and self.identity_public[0] == 4, "identity key")
        _check(statement.is_held(self.held), "held statements")
        return [LOCK_SEEN, self.lock_id, self.identity_public, self.held]


class PassRequest(_Message):
    """An edge asks for the passes of its key (65-byte point), if there are passes newer than `issued_at`. `issued_at`
    is 0 if the edge has no passes.

    If there are newer passes, the answer is Passes on `pass`. The broker's access list says which client may ask for
    the passes of which edge. A pass is useless without the private key of the edge.
    """

    def __init__(self, edge_public: bytes, issued_at: int) -> None:
        self.edge_public = edge_public
        self.issued_at = issued_at

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr(self.edge_public, 65) and self.edge_public[0] == 4, "edge key")
        _check(statement.is_uint(self.issued_at), "time of issue")
        return [PASS_REQUEST, self.edge_public, self.issued_at]


class Passes(_Message):
    """All edge passes of an edge, as the province signed them. They replace all earlier passes."""

    def __init__(self, statements: "list[bytes]") -> None:
        self.statements = statements

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_list_of_bytes(self.statements, 1, MAX_PASSES), "passes")
        return [1, self.statements]


class CertificateRequest(_Message):
    """An edge asks for the certificate that follows its present one at the broker.

    `request` is a PKCS#10 request (DER), signed by the new key. `replaces` is the SHA-256 value of the present
    certificate (DER). `signature` has 64 bytes and is over `request_text`, by the key of the present certificate.
    """

    def __init__(self, request: bytes, replaces: bytes, signature: bytes) -> None:
        self.request = request
        self.replaces = replaces
        self.signature = signature

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr_up_to(self.request, MAX_CERTIFICATE), "request")
        _check(_is_bstr(self.replaces, 32) and _is_bstr(self.signature, 64), "present certificate or signature")
        return [CERTIFICATE_REQUEST, self.request, self.replaces, self.signature]


def request_text(edge: str, request: bytes, replaces: bytes) -> bytes:
    """Return the bytes that an edge signs with its present key, to get a certificate for a new key."""
    return cbor.encode(["mooring/certificate-request", edge, request, replaces])


class Certificate(_Message):
    """The answer to CertificateRequest: an X.509 certificate (DER). `signature` has 64 bytes and is over
    `certificate_text`, by the province's signing key."""

    def __init__(self, certificate: bytes, signature: bytes) -> None:
        self.certificate = certificate
        self.signature = signature

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr_up_to(self.certificate, MAX_CERTIFICATE), "certificate")
        _check(_is_bstr(self.signature, 64), "signature")
        return [2, self.certificate, self.signature]


def certificate_text(edge: str, certificate: bytes) -> bytes:
    """Return the bytes that the province signs, so that nobody else can give an edge a certificate."""
    return cbor.encode(["mooring/certificate", edge, certificate])


class Receipts(_Message):
    """The province's answer to batches: statements of the kinds `refusal` and `receipt`.

    Refusals come first, then the receipts in order. If the hash chain of a lock is broken, there is a receipt for each
    side of the break.
    """

    def __init__(self, statements: "list[bytes]") -> None:
        self.statements = statements

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_list_of_bytes(self.statements, 1, MAX_STATEMENTS), "receipts")
        return [1, self.statements]


class Command(_Message):
    """Statements for one lock. The edge hands these statements on unchanged."""

    def __init__(self, lock_id: bytes, statements: "list[bytes]") -> None:
        self.lock_id = lock_id
        self.statements = statements

    def items(self) -> "list[Any]":
        """Return the members of the message. Raises FormatError `uplink.form`."""
        _check(_is_bstr(self.lock_id, 16), "lock id")
        _check(_is_list_of_bytes(self.statements, 1, MAX_STATEMENTS), "statements")
        return [1, self.lock_id, self.statements]


def in_messages(statements: "list[bytes]") -> "list[list[bytes]]":
    """Return `statements` in order, in as few groups as possible. Each group fits into one `Receipts` or `Command`."""
    groups: "list[list[bytes]]" = []
    room = 0
    for signed in statements:
        size = len(signed) + 3
        if size > room or len(groups[-1]) == MAX_STATEMENTS:
            groups.append([])
            room = MAX_MESSAGE - 32
        groups[-1].append(signed)
        room -= size
    return groups


def parse_up(data: bytes) -> "Batch | TimeRequest | LockSeen | PassRequest | CertificateRequest":
    """Return a message on `up`. Raises FormatError `uplink.form`, `uplink.too_long` or `cbor.*`."""
    items = _decode(data)
    kind, count = items[0], len(items)
    message: "Batch | TimeRequest | LockSeen | PassRequest | CertificateRequest"
    if kind == BATCH and count == 3:
        message = Batch(items[1], items[2])
    elif kind == TIME_REQUEST and count == 3:
        message = TimeRequest(items[1], items[2])
    elif kind == LOCK_SEEN and count == 4:
        message = LockSeen(items[1], items[2], items[3])
    elif kind == PASS_REQUEST and count == 3:
        message = PassRequest(items[1], items[2])
    elif kind == CERTIFICATE_REQUEST and count == 4:
        message = CertificateRequest(items[1], items[2], items[3])
    else:
        raise _form("kind of message")
    message.items()  # checks them
    return message


def parse_receipts(data: bytes) -> Receipts:
    """Return a message on `receipt`. Raises FormatError `uplink.form`, `uplink.too_long` or `cbor.*`."""
    return _parse(data, Receipts, 1)


def parse_command(data: bytes) -> Command:
    """Return a message on `cmd`. Raises FormatError `uplink.form`, `uplink.too_long` or `cbor.*`."""
    return _parse(data, Command, 2)


def parse_passes(data: bytes) -> Passes:
    """Return the passes in a message. Raises FormatError `uplink.form`, `uplink.too_long` or `cbor.*`."""
    return _parse(data, Passes, 1)


def parse_pass(data: bytes) -> "Passes | Certificate":
    """Return a message on `pass`. Raises FormatError `uplink.form`, `uplink.too_long` or `cbor.*`."""
    items = _decode(data)
    if items[0] != 2:
        return parse_passes(data)
    _check(len(items) == 3, "length")
    message = Certificate(items[1], items[2])
    message.items()  # checks them
    return message


def _parse(data: bytes, form: "type[_Down]", members: int) -> "_Down":
    """Return the message in version 1 of `form`. `form` has `members` members, and checks their values."""
    items = _decode(data)
    _check(items[0] == 1 and len(items) == members + 1, "version or length")
    message = form(*items[1:])
    message.items()  # checks them
    return message


# --- state -----------------------------------------------------------------------------------------------------------


def state(online: bool, version: str) -> bytes:
    """Return the retained message of an edge with software `version`: its birth message if `online`, otherwise its last
    will. The message is JSON, so any dashboard can read it.

    Raises FormatError `uplink.form`.
    """
    _check(_is_version(version), "version")
    # The text is built by hand, because the order of members must be the same on both runtimes.
    return ('{"state":"' + ("online" if online else "offline") + '","version":"' + version + '"}').encode()


def parse_state(data: bytes) -> "tuple[bool, str]":
    """Return (online, version) of a message on `state`. Raises FormatError `uplink.form`."""
    if len(data) > 256:
        raise FormatError("uplink.too_long", "longer than any state")
    try:
        content = json.loads(bytes(data).decode())
    except (ValueError, RuntimeError):
        raise _form("not JSON")
    _check(isinstance(content, dict) and content.get("state") in ("online", "offline"), "state")
    version = content.get("version")
    _check(_is_version(version), "version")
    return content["state"] == "online", str(version)


# --- rules -----------------------------------------------------------------------------------------------------------


def _decode(data: bytes) -> "list[Any]":
    if len(data) > MAX_MESSAGE:
        raise FormatError("uplink.too_long", "longer than any message")
    items = cbor.decode_deterministic(data)
    if not isinstance(items, list) or not items or not isinstance(items[0], int) or isinstance(items[0], bool):
        raise _form("not an array that starts with a number")
    return items


def _form(what: str) -> FormatError:
    return FormatError("uplink.form", what)


def _check(good: bool, what: str) -> None:
    if not good:
        raise _form(what)


def _is_bstr(value: "Any", size: int) -> bool:
    return isinstance(value, bytes) and len(value) == size


def _is_bstr_up_to(value: "Any", most: int) -> bool:
    return isinstance(value, bytes) and 0 < len(value) <= most


def _is_list_of_bytes(value: "Any", least: int, most: int) -> bool:
    if not isinstance(value, list) or not least <= len(value) <= most:
        return False
    return all(isinstance(item, bytes) and 0 < len(item) <= MAX_BYTES for item in value)


def _is_version(value: "Any") -> bool:
    return isinstance(value, str) and 0 < len(value) <= 32 and all(c in _VERSION for c in value)
