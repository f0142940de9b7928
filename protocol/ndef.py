"""NDEF messages (NFC Forum Data Exchange Format): reads and writes records, strictly and within limits.

Records are found by their type and id, not by their position, because wallets order them differently. Chunked records
are refused, because nothing in an mdoc engagement needs them.
"""

from protocol import const
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Type name formats.
EMPTY = 0
WELL_KNOWN = 1
MIME = 2
EXTERNAL = 4
_UNKNOWN = const(5)
_UNCHANGED = const(6)

_MB = const(0x80)
_ME = const(0x40)
_CF = const(0x20)
_SR = const(0x10)
_IL = const(0x08)

MAX_MESSAGE = 4096
"""Maximum size of a message that is accepted, in bytes. The longest known handover message has less than 600 bytes."""
MAX_RECORDS = 16


class Record:
    """One record: type name format, type, id and payload."""

    def __init__(self, tnf: int, type: bytes, id: bytes, payload: bytes) -> None:
        self.tnf = tnf
        self.type = type
        self.id = id
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and (self.tnf, self.type, self.id, self.payload) == (
            other.tnf,
            other.type,
            other.id,
            other.payload,
        )

    def __hash__(self) -> int:
        return hash((self.tnf, self.type, self.id))


def parse(message: bytes) -> "list[Record]":
    """Return the records of `message`, which must hold one NDEF message and nothing else.

    Raises FormatError: `ndef.truncated` if the message ends inside a record, `ndef.trailing` for bytes after the last
    record, `ndef.limit` for too many bytes or records, `ndef.chunked` for a chunked record, `ndef.form` for any other
    wrong form.
    """
    if len(message) > MAX_MESSAGE:
        raise FormatError("ndef.limit", "the message is longer than we accept")
    records: list[Record] = []
    at = 0
    while True:
        if len(records) == MAX_RECORDS:
            raise FormatError("ndef.limit", "more records than we accept")
        flags = _byte(message, at)
        if bool(flags & _MB) != (not records):
            raise FormatError("ndef.form", "the begin flag belongs on the first record only")
        record, at = _record(message, at)
        records.append(record)
        if flags & _ME:
            break
    if at != len(message):
        raise FormatError("ndef.trailing", "bytes after the last record")
    return records


def _byte(message: bytes, at: int) -> int:
    if at >= len(message):
        raise FormatError("ndef.truncated", "the message ends inside a record")
    return message[at]


def _record(message: bytes, at: int) -> "tuple[Record, int]":
    flags = message[at]
    tnf = flags & 7
    if flags & _CF or tnf == _UNCHANGED:
        raise FormatError("ndef.chunked", "chunked records are not accepted")
    type_length = _byte(message, at + 1)
    at += 2
    width = 1 if flags & _SR else 4
    _byte(message, at + width - 1)
    payload_length = int.from_bytes(message[at : at + width], "big")
    at += width
    id_length = 0
    if flags & _IL:
        id_length = _byte(message, at)
        at += 1
    if at + type_length + id_length + payload_length > len(message):
        raise FormatError("ndef.truncated", "the message ends inside a record")
    if tnf == 7 or (tnf == _UNKNOWN and type_length) or (tnf in (WELL_KNOWN, MIME, EXTERNAL) and not type_length):
        raise FormatError("ndef.form", "the type does not fit the type name format")
    if tnf == EMPTY and (type_length or id_length or payload_length):
        raise FormatError("ndef.form", "a record of type name format 0 must be empty")
    after_type = at + type_length
    after_id = after_type + id_length
    end = after_id + payload_length
    return Record(tnf, message[at:after_type], message[after_type:after_id], message[after_id:end]), end


def encode(records: "list[Record]") -> bytes:
    """Encode `records` as one message. Records of up to 255 payload bytes take the short form. Raises FormatError
    `ndef.limit` for a type or an id of more than 255 bytes."""
    out = bytearray()
    for index, record in enumerate(records):
        if len(record.type) > 255 or len(record.id) > 255:
            raise FormatError("ndef.limit", "type or id longer than 255 bytes")
        short = len(record.payload) < 256
        flags = record.tnf | (_SR if short else 0) | (_IL if record.id else 0)
        flags |= (_MB if index == 0 else 0) | (_ME if index == len(records) - 1 else 0)
        out.append(flags)
        out.append(len(record.type))
        out.extend(len(record.payload).to_bytes(1 if short else 4, "big"))
        if record.id:
            out.append(len(record.id))
        out.extend(record.type)
        out.extend(record.id)
        out.extend(record.payload)
    return bytes(out)


def find(records: "list[Record]", tnf: int, type: bytes, named: "Sequence[bytes]" = ()) -> "Record | None":
    """Return the only record of this kind, or None. If there are several such records, return the record whose id is in
    `named`.

    Raises FormatError `ndef.ambiguous` if there are several such records, unless `named` has the id of exactly one of
    them.
    """
    found = [record for record in records if is_of(record, tnf, type)]
    if len(found) > 1:
        found = [record for record in found if record.id in named]
        if len(found) != 1:
            raise FormatError("ndef.ambiguous", "several records of a kind that may appear once")
    return found[0] if found else None


def is_of(record: Record, tnf: int, type: bytes) -> bool:
    """Is `record` of this kind? The case of external and MIME types does not matter (NFC Forum RTD; RFC 2045)."""
    if record.tnf != tnf:
        return False
    return record.type == type if tnf == WELL_KNOWN else record.type.lower() == type.lower()
