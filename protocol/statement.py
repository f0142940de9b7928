"""A statement: what the province, or the platform that a placement names, signs for a lock (statement.cddl).

A COSE_Sign1 whose protected `typ` names the kind, so that a statement of one kind can never pass as another. One
value has one form: the encoding is deterministic, the unprotected header is empty, and a body holds exactly the
members of its kind and version; a later version may add members, this one refuses them.
"""

from protocol import cbor, const, cose
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from protocol.crypto import Crypto

KINDS = (
    "placement",
    "trust-list",
    "profile",
    "time",
    "receipt",
    "refusal",
    "grant",
    "edge-pass",
    "revocation-list",
    "listing-code",
)

MAX_BYTES = 8192
"""Longest statement: what a lock can gather of one on its flash and read at once. A trust list is the largest."""

_TYPE = const("mooring/")
_CODE = const("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def sign(crypto: "Crypto", private: bytes, kind: str, body: "dict[Any, Any]") -> bytes:
    """A statement of `kind` with `body`, signed ES256 by `private`. Raises FormatError `statement.form`."""
    if kind not in KINDS:
        raise FormatError("statement.form", "no such kind of statement")
    signed = cbor.encode(cose.sign1(crypto, private, cbor.encode(body), {cose.TYP: _TYPE + kind}))
    if len(signed) > MAX_BYTES:
        raise FormatError("statement.form", "longer than a lock can receive")
    return signed


def open(crypto: "Crypto", data: bytes, kind: str, public: bytes) -> "dict[Any, Any]":
    """The body of a statement of `kind` that the owner of `public` (65-byte P-256 point) signed.

    Raises FormatError `statement.form` or `cbor.*`, VerificationError `statement.kind` for another kind,
    `cose.signature` for another signer or altered bytes.
    """
    message = _parse(data)
    if message.protected[cose.TYP] != _TYPE + kind:
        raise VerificationError("statement.kind", "a statement of another kind")
    cose.verify_sign1(crypto, message, ("P-256", public))
    return _body(message)


def read(data: bytes, kind: str) -> "dict[Any, Any]":
    """The body of a statement of `kind`, unverified: for cheap checks before `open`, and for couriers.

    Raises FormatError `statement.form` or `cbor.*`, VerificationError `statement.kind` for another kind.
    """
    message = _parse(data)
    if message.protected[cose.TYP] != _TYPE + kind:
        raise VerificationError("statement.kind", "a statement of another kind")
    return _body(message)


def kind_of(data: bytes) -> str:
    """Kind that `data` says it is; unverified, for routing only. Raises FormatError."""
    return str(_parse(data).protected[cose.TYP])[len(_TYPE) :]


def _body(message: cose.Message) -> "dict[Any, Any]":
    body = cbor.decode_deterministic(message.payload or b"")
    if not isinstance(body, dict):
        raise FormatError("statement.form", "the body is not a map")
    return body


def _parse(data: bytes) -> cose.Message:
    if len(data) > MAX_BYTES:
        raise FormatError("statement.form", "longer than any statement")
    item = cbor.decode_deterministic(data)
    if isinstance(item, cbor.Tag):
        raise FormatError("statement.form", "a statement carries no tag")
    message = cose.parse(item)
    kind = message.protected.get(cose.TYP)
    known = isinstance(kind, str) and kind.startswith(_TYPE) and kind[len(_TYPE) :] in KINDS
    if not known or message.unprotected or message.payload is None:
        raise FormatError("statement.form", "not a statement of a known kind")
    # Exactly these two members: the header bytes are signed, but nothing else may ride in them.
    if message.protected_bytes != cbor.encode({cose.ALG: cose.ES256, cose.TYP: kind}):
        raise FormatError("statement.form", "other protected header parameters than alg and typ")
    return message


# --- form of bodies --------------------------------------------------------------------------------------------------


def is_uint(value: "Any") -> bool:
    """An unsigned integer up to `cbor.LARGEST`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= cbor.LARGEST


def is_positive(value: "Any") -> bool:
    """As `is_uint`, from 1."""
    return is_uint(value) and value > 0


def is_version_1(value: "Any") -> bool:
    """The one version there is."""
    return is_uint(value) and value == 1


def is_bool(value: "Any") -> bool:
    """True or False."""
    return isinstance(value, bool)


def is_label(value: "Any") -> bool:
    """Text of 1 to 64 characters without control characters: a code or a name, fit for a display and a log."""
    return isinstance(value, str) and 0 < len(value) <= 64 and all(ord(c) >= 32 and ord(c) != 127 for c in value)


def is_code(value: "Any") -> bool:
    """Text of 1 to 64 of a-z, 0-9, hyphen, dot and underscore: a kind of statement, or an error's code."""
    return isinstance(value, str) and 0 < len(value) <= 64 and all(c in _CODE for c in value)


def is_held(value: "Any") -> bool:
    """What a lock says that it holds: at most 32 kinds of statement, each with its serial."""
    if not isinstance(value, dict) or len(value) > 32:
        return False
    return all(is_code(kind) and is_uint(serial) for kind, serial in value.items())


def is_bytes16(value: "Any") -> bool:
    """Sixteen bytes: an identifier or a nonce."""
    return isinstance(value, bytes) and len(value) == 16


def is_bytes32(value: "Any") -> bool:
    """Thirty-two bytes: a SHA-256 value."""
    return isinstance(value, bytes) and len(value) == 32


def is_point(value: "Any") -> bool:
    """65 bytes that look like an uncompressed P-256 point; whether it is on the curve shows in use."""
    return isinstance(value, bytes) and len(value) == 65 and value[0] == 4


def check(kind: str, body: "Any", rules: "Mapping[Any, Callable[[Any], bool]]") -> "dict[Any, Any]":
    """`body`, once it is a map with exactly the members of `rules` and each value passes its rule.

    Raises FormatError `<kind>.form`, naming the member by its key, never by its value.
    """
    if not isinstance(body, dict):
        raise FormatError(kind + ".form", "not a map")
    for key in body:
        if key not in rules:
            raise FormatError(kind + ".form", "a member that this version does not have")
    for key, rule in rules.items():
        if key not in body:
            raise FormatError(kind + ".form", "member " + str(key) + " is missing")
        if not rule(body[key]):
            raise FormatError(kind + ".form", "member " + str(key) + " has the wrong type or range")
    return body
