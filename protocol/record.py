"""The record: a lock seals it to the province, signs it, and chains it to the previous record (record.cddl).

The header (lock id, counter, previous hash) is in clear, because couriers need it. The body is sealed with HPKE. The
header is the additional data of the seal, so a body cannot be moved to another place in the chain. The chain covers
payloads and not signatures, because anyone can change an ECDSA signature into another good signature.
"""

import hashlib

from protocol import cbor, const, cose, hpke, placement, statement
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

CHECK_IN = 1
ENTRY = 2
REFUSAL = 3
DOOR = 4
TAMPER = 5
BOOT = 6
TIME = 7
MECHANICAL = 8
READER = 9
MAINTENANCE = 10
LIFE = 11
"""Kinds of record: the first two are openings, and all others are events. `EVENTS` lists the possible values of each
event."""

OPENINGS = (CHECK_IN, ENTRY)

EVENTS = {
    # The kind of reason for a refusal. It names nobody.
    REFUSAL: (
        "document",
        "issuer",
        "expired",
        "revoked",
        "stale",
        "stranger",
        "window",
        "places",
        "guardian",
        "placement",
        "clock",
        "profile",
        "pin",
        "phone",
        "storage",
        "other",
    ),
    # Events of the door's contact. "forced" means that the door opened although the lock had not opened it.
    # "found-open" means that the door was open when the lock booted.
    DOOR: ("opened", "closed", "forced", "held", "found-open"),
    TAMPER: ("opened", "closed"),
    BOOT: ("power-on", "reset", "watchdog", "wake", "soft", "other"),
    # "known" means that the latest possible time became known, as after a cold start. "doubted" means that an answer
    # contradicted this time, so the lock gave this time up.
    TIME: ("known", "doubted"),
    MECHANICAL: ("key",),
    # Something that is not a phone, such as a sticker or a forgotten card, stays on the reader.
    READER: ("obstructed",),
    # An action at the console while the inside button was held: writing fittings, or moving the strike.
    MAINTENANCE: ("fittings", "strike"),
    # A sign of life: the lock works. One in each period (record.cddl), whatever else happens.
    LIFE: ("alive",),
}
"""Each kind of event with its values of WHAT. The values are few and fixed, so a lock needs little memory to count
them."""

# Members of a body.
KIND = 1
EARLIEST = 2
LATEST = 3
LISTING_CODE = 4
GRANT_ID = 5
GUEST = 6
PROFILE_ID = 7
FIELDS = 8
METHOD = 9
WHAT = 10
COUNT = 11
OCCUPANCY = 12
MARK = 13
"""Why the lock could not tell whether a new guest has already checked in with another document. The value 1 means that
the document shows no name or no birth date. The value 2 means that a person with the same birth date and another name
has already checked in. If the lock could tell, a record has no MARK.
"""

GENESIS = bytes(32)
"""`previous` of record number 1."""

MAX_BYTES = 4096
"""Maximum size of a record, in bytes."""

_TYPE = const("mooring/record")
_INFO = const(b"mooring/record")
BLOCK = 384
"""Bodies are padded to a multiple of this number of bytes. So all records have the same length, except check-ins with
unusually long fields. A sector of the journal holds five or six records."""

_END_OF_BODY = const(b"\x80")
_PROTECTED = cbor.encode({cose.ALG: cose.ES256, cose.TYP: _TYPE})
_SEALED_PROTECTED = cbor.encode({cose.ALG: cose.HPKE_P256_AES128})


class Record:
    """A parsed record that is not yet verified. `raw` is the whole COSE_Sign1, and `payload` is the signed content.

    `payload_hash` is the SHA-256 of the payload. This hash identifies the record in the chain, in receipts and in
    refusals.
    """

    def __init__(self, raw: bytes, message: cose.Message, payload: bytes, header: "list[Any]") -> None:
        self.raw = raw
        self.message = message
        self.payload = payload
        self.lock_id: bytes = header[1]
        self.counter: int = header[2]
        self.previous: bytes = header[3]
        self.sealed: bytes = header[4]
        self.signature = message.authenticator
        self.payload_hash = payload_hash(payload)


def payload_hash(payload: bytes) -> bytes:
    """Return the hash of a record's payload, 32 bytes. The next record has this hash as `previous`."""
    return hashlib.sha256(payload).digest()


def head(data: bytes) -> bytes:
    """Return the payload hash of the record in `data`.

    The record must have been made or parsed before. Only what is needed to find the payload is checked here. Raises
    FormatError `record.form` if there is no payload.
    """
    signed = cbor.decode(data)
    if not isinstance(signed, list) or len(signed) != 4 or not isinstance(signed[2], bytes):
        raise FormatError("record.form", "no signed record")
    return payload_hash(signed[2])


# --- at the lock -----------------------------------------------------------------------------------------------------


def seal(
    crypto: "Crypto",
    sealing_public: bytes,
    lock_id: bytes,
    counter: int,
    previous: bytes,
    body: "dict[Any, Any]",
    encapsulation: "tuple[bytes, bytes] | None" = None,
) -> bytes:
    """Return the payload of record `counter`: `body` sealed to the province's key and bound to its place in the chain.

    `encapsulation` is an unused result of `hpke.encapsulate` towards the same key. If `encapsulation` is None, it is
    made here. Raises FormatError `record.form` if the body does not have the form of record.cddl.
    """
    plaintext = _pad(cbor.encode(check_body(body)))
    aad = cose.enc_structure(_SEALED_PROTECTED, _place(lock_id, counter, previous))
    enc, ciphertext = hpke.seal_encapsulated(
        crypto, encapsulation or hpke.encapsulate(crypto, sealing_public), _INFO, aad, plaintext
    )
    sealed = cbor.encode([_SEALED_PROTECTED, {cose.EK: enc}, ciphertext])
    return cbor.encode([1, lock_id, counter, previous, sealed])


def sign(crypto: "Crypto", private: bytes, payload: bytes) -> bytes:
    """Make the record: sign `payload` (ES256) with the lock's identity key."""
    return cbor.encode(cose.sign1(crypto, private, payload, {cose.TYP: _TYPE}))


def _place(lock_id: bytes, counter: int, previous: bytes) -> bytes:
    return cbor.encode([1, lock_id, counter, previous])


def _pad(body: bytes) -> bytes:
    """Pad `body` as in ISO/IEC 9797-1, method 2. This padding can extend a body to any length. An extra member in the
    map could not do this.
    """
    padded = body + _END_OF_BODY
    return padded + bytes(-len(padded) % BLOCK)


# --- anywhere --------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Record:
    """Parse the record in `data` without verifying it. A courier needs no more than that. Raises FormatError
    `record.form` or `cbor.*`.
    """
    if len(data) > MAX_BYTES:
        raise FormatError("record.form", "longer than any record")
    item = cbor.decode_deterministic(data)
    if isinstance(item, cbor.Tag):
        raise FormatError("record.form", "a record carries no tag")
    message = cose.parse(item)
    payload = message.payload
    if message.protected_bytes != _PROTECTED or message.unprotected or payload is None:
        raise FormatError("record.form", "not the headers of a record")
    if len(message.authenticator) != 64:
        raise FormatError("record.form", "signature of the wrong length")
    header = cbor.decode_deterministic(payload)
    if not isinstance(header, list) or len(header) != 5 or not statement.is_version_1(header[0]):
        raise FormatError("record.form", "not the payload of a version 1 record")
    if not statement.is_bytes16(header[1]) or not statement.is_positive(header[2]):
        raise FormatError("record.form", "lock id or counter of the wrong form")
    if not statement.is_bytes32(header[3]) or not isinstance(header[4], bytes):
        raise FormatError("record.form", "previous hash or sealed body of the wrong form")
    if (header[2] == 1) != (header[3] == GENESIS):
        raise FormatError("record.form", "previous is 32 zero bytes in the first record, and only there")
    return Record(bytes(data), message, payload, header)


def verify(crypto: "Crypto", record: Record, identity_public: bytes) -> Record:
    """Return `record` if the lock with the key `identity_public` (65-byte point) signed it.

    Raises VerificationError `record.lock` if the lock id does not belong to the key, `cose.signature` if the signature
    is wrong.
    """
    if placement.lock_id(crypto, identity_public) != record.lock_id:
        raise VerificationError("record.lock", "the record names another lock")
    cose.verify_sign1(crypto, record.message, ("P-256", identity_public))
    return record


# --- at the province -------------------------------------------------------------------------------------------------


def open_body(crypto: "Crypto", record: Record, sealing_private: bytes) -> "dict[Any, Any]":
    """Return the body of `record` without its padding. The signature is not verified.

    Raises FormatError `record.form` or `hpke.form` for a wrong form. Raises VerificationError `crypto.tag` or
    `crypto.key` if the body does not open.
    """
    sealed = cose.parse(cbor.decode_deterministic(record.sealed), 3)
    enc = sealed.unprotected.get(cose.EK)
    if sealed.protected_bytes != _SEALED_PROTECTED or len(sealed.unprotected) != 1 or not isinstance(enc, bytes):
        raise FormatError("record.form", "not the headers of a sealed body")
    aad = cose.enc_structure(_SEALED_PROTECTED, _place(record.lock_id, record.counter, record.previous))
    plaintext = hpke.open(crypto, sealing_private, enc, _INFO, aad, sealed.payload or b"")
    bare = plaintext.rstrip(b"\x00")
    if not bare.endswith(_END_OF_BODY) or len(plaintext) % BLOCK:
        raise FormatError("record.form", "the body is not padded")
    return check_body(cbor.decode_deterministic(bare[:-1]))


def check_body(body: "Any") -> "dict[Any, Any]":
    """Return `body` if it has the form of record.cddl without padding. Raises FormatError `record.form`."""
    kind = body.get(KIND) if isinstance(body, dict) else None
    if not statement.is_uint(kind):
        raise FormatError("record.form", "no kind of record")
    if kind in OPENINGS:
        rules = dict(_OPENING_RULES)
        rules.update(_CHECK_IN_RULES if kind == CHECK_IN else _ENTRY_RULES)
        if kind == CHECK_IN and MARK in body:
            rules[MARK] = statement.is_positive
    elif kind in EVENTS:
        rules = dict(_EVENT_RULES)
    else:
        raise FormatError("record.form", "a kind of record that this version does not have")
    checked = statement.check("record.form", body, rules)
    if kind in EVENTS and body[WHAT] not in EVENTS[kind]:
        raise FormatError("record.form", "an event that this version does not have")
    if body.get(MARK, 1) > 2:
        raise FormatError("record.form", "a MARK that this version does not have")
    if body[LATEST] is not None and body[LATEST] < body[EARLIEST]:
        raise FormatError("record.form", "the time interval is reversed")
    return checked


def _is_fields(value: "Any") -> bool:
    if not isinstance(value, dict) or not 0 < len(value) <= 32:
        return False
    return all(statement.is_label(key) and isinstance(text, str) and len(text) <= 512 for key, text in value.items())


def _is_occupancy(value: "Any") -> bool:
    if not isinstance(value, list) or len(value) != 4 or not statement.is_uint(value[1]):
        return False
    return all(statement.is_positive(value[at]) for at in (0, 2, 3))


_COMMON_RULES = {
    KIND: statement.is_positive,
    EARLIEST: statement.is_uint,
    LATEST: (statement.is_optional, statement.is_uint),
    LISTING_CODE: statement.is_label,
    PROFILE_ID: statement.is_label,
}
_OPENING_RULES = dict(_COMMON_RULES)
_OPENING_RULES.update({GRANT_ID: (statement.is_optional, statement.is_bytes16), METHOD: statement.is_label})
_CHECK_IN_RULES = {GUEST: statement.is_positive, FIELDS: _is_fields, OCCUPANCY: _is_occupancy}
_ENTRY_RULES = {
    GUEST: (statement.is_optional, statement.is_positive),
    COUNT: statement.is_positive,
    OCCUPANCY: (statement.is_optional, _is_occupancy),
}
_EVENT_RULES = dict(_COMMON_RULES)
_EVENT_RULES.update({WHAT: statement.is_label, COUNT: statement.is_positive})
