"""A statement: data for a lock, signed by the province or by the platform that a placement names (statement.cddl).

A statement is a COSE_Sign1. The protected header `typ` names the kind, so a statement of one kind never passes as a
statement of another kind. Each value has exactly one form, because the encoding is deterministic, the unprotected
header is empty, and a body holds exactly the members of its kind and version. A later version may add members. This
version refuses such members.

Each kind of body is a subclass of `Form`. The class declares each member once, with `field`: key, name, type and
bounds. On both runtimes, these declarations are enough for parsing, writing and validating.
"""

from protocol import cbor, const, cose
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar, Self, dataclass_transform

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
"""Maximum size of a statement, in bytes. A lock must be able to store a statement in flash and to read it as a whole.
Trust lists are the longest statements."""

_TYPE = const("mooring/")
_CODE = const("abcdefghijklmnopqrstuvwxyz0123456789-_.")


class Statement:
    """A parsed statement. `data` are its bytes. `kind` is the kind that is written in these bytes. Nothing is verified
    yet.
    """

    def __init__(self, data: bytes, kind: str, message: cose.Message) -> None:
        self.data = data
        self.kind = kind
        self._message: "cose.Message | None" = message

    def read(self, kind: str) -> "dict[Any, Any]":
        """Return the body without verifying it. Couriers use this method. `read` is also used for cheap checks before
        `verify`.

        Raises VerificationError `statement.kind` for another kind. Raises FormatError `statement.form` or `cbor.*` for
        a malformed body.
        """
        if self.kind != kind:
            raise VerificationError("statement.kind", "a statement of another kind")
        assert self._message is not None  # `open` was not called before
        body = cbor.decode_deterministic(self._message.payload or b"")
        if not isinstance(body, dict):
            raise FormatError("statement.form", "the body is not a map")
        return body

    def verify(self, crypto: "Crypto", public: bytes) -> None:
        """Check that the owner of `public` (65-byte P-256 point) signed the statement.

        Raises VerificationError `cose.signature` if the signature is wrong.
        """
        assert self._message is not None  # `open` was not called before
        cose.verify_sign1(crypto, self._message, ("P-256", public))

    def open(self, crypto: "Crypto", kind: str, public: bytes) -> "dict[Any, Any]":
        """Check that this is a statement of `kind` and that the owner of `public` signed it. Return its body. Call this
        only once, because it frees the signed bytes. A lock that holds a long statement has little memory left.

        Raises VerificationError `statement.kind` for another kind, `cose.signature` for another signer or altered
        bytes. Raises FormatError `statement.form` or `cbor.*` for a malformed body.
        """
        if self.kind == kind:
            self.verify(crypto, public)
        body = self.read(kind)
        self._message = None
        return body


def sign(crypto: "Crypto", private: bytes, kind: str, body: "dict[Any, Any]") -> bytes:
    """Return a statement of `kind` with `body`, signed ES256 by `private`. Raises FormatError `statement.form`."""
    if kind not in KINDS:
        raise FormatError("statement.form", "no such kind of statement")
    signed = cbor.encode(cose.sign1(crypto, private, cbor.encode(body), {cose.TYP: _TYPE + kind}))
    if len(signed) > MAX_BYTES:
        raise FormatError("statement.form", "longer than a lock can receive")
    return signed


def parse(data: bytes) -> Statement:
    """Parse the statement in `data` without verifying it. Raises FormatError `statement.form` or `cbor.*`."""
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
    # The header must hold exactly these two members, because anything else in it would be signed too.
    if message.protected_bytes != cbor.encode({cose.ALG: cose.ES256, cose.TYP: kind}):
        raise FormatError("statement.form", "other protected header parameters than alg and typ")
    return Statement(data, str(kind)[len(_TYPE) :], message)


def open(crypto: "Crypto", data: bytes, kind: str, public: bytes) -> "dict[Any, Any]":
    """Return the body of the statement in `data`. Raises the errors of `parse` and `Statement.open`."""
    return parse(data).open(crypto, kind, public)


# --- rules for members -----------------------------------------------------------------------------------------------


def is_uint(value: "Any", most: int = cbor.LARGEST) -> bool:
    """Accept an integer from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def is_positive(value: "Any", most: int = cbor.LARGEST) -> bool:
    """Accept an integer from 1 to `most`."""
    return is_uint(value, most) and value > 0


def is_version_1(value: "Any") -> bool:
    """Accept only the integer 1, because there is no other version yet."""
    return is_positive(value, 1)


def is_bool(value: "Any") -> bool:
    """Accept True or False."""
    return isinstance(value, bool)


def is_bytes(value: "Any", least: int, most: int) -> bool:
    """Accept a byte string of `least` to `most` bytes."""
    return isinstance(value, bytes) and least <= len(value) <= most


def is_bytes16(value: "Any") -> bool:
    """Accept sixteen bytes: an identifier or a nonce."""
    return is_bytes(value, 16, 16)


def is_bytes32(value: "Any") -> bool:
    """Accept thirty-two bytes: a SHA-256 value."""
    return is_bytes(value, 32, 32)


def is_point(value: "Any") -> bool:
    """Accept 65 bytes that look like an uncompressed P-256 point. This function does not check whether the point is on
    the curve. A later use of the point checks this.
    """
    return is_bytes(value, 65, 65) and bool(value[0] == 4)


def is_text(value: "Any", most: int) -> bool:
    """Accept a text of at most `most` characters."""
    return isinstance(value, str) and len(value) <= most


def is_label(value: "Any") -> bool:
    """Accept a text of 1 to 64 characters without control characters. Such a text is a code or a name, fit for a
    display and a log.
    """
    return is_text(value, 64) and value != "" and all(ord(c) >= 32 and ord(c) != 127 for c in value)


def is_code(value: "Any") -> bool:
    """Accept a text of 1 to 64 characters from a-z, 0-9, hyphen, dot and underscore: a kind of statement or a code."""
    return is_text(value, 64) and value != "" and all(c in _CODE for c in value)


def is_choice(value: "Any", *choices: str) -> bool:
    """Accept one of the texts `choices`."""
    return isinstance(value, str) and value in choices


def is_optional(value: "Any", rule: "Callable[..., bool]", *bounds: "Any") -> bool:
    """Accept None, or a value that `rule` accepts within `bounds`."""
    return value is None or rule(value, *bounds)


def is_list(value: "Any", least: int, most: int, rule: "Callable[..., bool] | type[Form]", *bounds: "Any") -> bool:
    """Accept a list that has `least` to `most` items. `rule` must accept each item within `bounds`. If `rule` is a
    Form, its `parse` checks the items later.
    """
    if not isinstance(value, list) or not least <= len(value) <= most:
        return False
    return isinstance(rule, type) or all(rule(item, *bounds) for item in value)


def is_form(value: "Any", _form: "type[Form]") -> bool:
    """Accept a map. The form's `parse` checks the map later."""
    return isinstance(value, dict)


def is_map(value: "Any", least: int, most: int, rule: "Callable[..., bool]", _form: "type[Form]") -> bool:
    """Accept a map that has `least` to `most` members. `rule` must accept each key, and each value must be a map. The
    form's `parse` checks the inner maps later.
    """
    if not isinstance(value, dict) or not least <= len(value) <= most:
        return False
    return all(rule(key) and isinstance(item, dict) for key, item in value.items())


def is_held(value: "Any") -> bool:
    """Accept a lock's report of the statements that it holds: at most 32 kinds, each with its serial."""
    if not isinstance(value, dict) or len(value) > 32:
        return False
    return all(is_code(kind) and is_uint(serial) for kind, serial in value.items())


def check(code: str, body: "Any", rules: "Mapping[Any, Any]") -> "dict[Any, Any]":
    """Return `body` if it is a map with exactly the members of `rules`, and each value passes its rule.

    A rule is a function of the value, or a tuple of such a function and its bounds. Raises FormatError with `code`. The
    message names a member by its key and never shows its value.
    """
    if not isinstance(body, dict):
        raise FormatError(code, "not a map")
    for key in body:
        if key not in rules:
            raise FormatError(code, "a member that this version does not have")
    for key, rule in rules.items():
        if key not in body:
            raise FormatError(code, "member " + str(key) + " is missing")
        good = rule[0](body[key], *rule[1:]) if isinstance(rule, tuple) else rule(body[key])
        if not good:
            raise FormatError(code, "member " + str(key) + " has the wrong type or range")
    return body


# --- bodies ----------------------------------------------------------------------------------------------------------


def field(key: "int | str", rule: "Callable[..., bool]", *bounds: "Any", default: "Any" = None) -> "Any":
    """Declare a member of a `Form`: its key, and the rule and bounds for its value.

    A member can also hold other forms. Then the rule is `is_form`, `is_list` or `is_map`, and the last bound is the
    class of these forms. `default` is only for the constructor. In a body, no member may be missing.
    """
    return (key, default, rule) + bounds


if TYPE_CHECKING:

    @dataclass_transform(eq_default=False, field_specifiers=(field,))
    class _Declared:
        """Lets a type checker derive the constructor's parameters from the fields."""


_Declared = object  # type: ignore[misc, assignment]  # nothing of it is needed at run time


class Form(_Declared):
    """A map in a statement: the body, or a map inside the body. The map's members are the class attributes made by
    `field`.

    `VERSION` is the version that a body holds under key 1. A map inside a body has no version, so its `VERSION` is 0.
    `CODE` is the error code of a FormatError for a body that is not as declared.
    """

    CODE = ""
    VERSION = 1
    _names: "ClassVar[list[str] | None]" = None

    def __init__(self, *values: "Any", **named: "Any") -> None:
        """The values come in the order of the keys, or by name. Only `parse` and `body` check the values.

        Raises TypeError for a value that belongs to no member, or for two values of one member.
        """
        left = len(values) + len(named)
        for at, name in enumerate(self._members()):
            value = getattr(type(self), name)[1]
            if at < len(values):
                value = values[at]
                left -= 1
            elif name in named:
                value = named[name]
                left -= 1
            setattr(self, name, value)
        if left:
            raise TypeError

    @classmethod
    def _members(cls) -> "list[str]":
        """Return the name of each member, sorted by key. The class attribute of that name is the result of `field`."""
        if cls._names is None:
            # CPython 3.13 adds a tuple of its own to each class: `__static_attributes__`.
            own = [
                (each[0], name) for name, each in cls.__dict__.items() if isinstance(each, tuple) and name[:2] != "__"
            ]
            cls._names = [name for _, name in sorted(own)]
        return cls._names

    @classmethod
    def parse(cls, body: "dict[Any, Any]", known: bool = False) -> "Self":
        """Return the form with the values in `body`. Raises FormatError with the class's CODE.

        If `known` is true, nothing is checked, because `parse` has accepted this body before.
        """
        if not known:
            cls._check(body)
        values = []
        for name in cls._members():
            declared = getattr(cls, name)
            values.append(_parsed(declared, body[declared[0]], known))
        form = cls(*values)
        if not known:
            form.check()
        return form

    @classmethod
    def _check(cls, body: "dict[Any, Any]") -> None:
        """Check each member of `body` by itself."""
        rules: "dict[Any, Any]" = {}
        for name in cls._members():
            declared = getattr(cls, name)
            rules[declared[0]] = declared[2:]
        if cls.VERSION:
            rules[1] = is_version_1
        check(cls.CODE, body, rules)

    def body(self) -> "dict[Any, Any]":
        """Return the body for `sign`. Raises FormatError with the class's CODE."""
        body: "dict[Any, Any]" = {1: self.VERSION} if self.VERSION else {}
        for name in self._members():
            declared = getattr(type(self), name)
            body[declared[0]] = _body(declared, getattr(self, name))
        self._check(body)
        self.check()
        return body

    def check(self) -> None:
        """Check the rules that concern several members. A form that has such rules overrides this method. Raises
        FormatError with the class's CODE."""


def _parsed(declared: "tuple[Any, ...]", value: "Any", known: bool) -> "Any":
    """Return `value` of the member `declared`. If the member holds other forms, make these forms from their bodies."""
    if not isinstance(declared[-1], type):
        return value
    form: "Any" = declared[-1]
    if declared[2] is is_form:
        return form.parse(value, known)
    if declared[2] is is_list:
        return [form.parse(item, known) for item in value]
    return {key: form.parse(item, known) for key, item in value.items()}


def _body(declared: "tuple[Any, ...]", value: "Any") -> "Any":
    """Do the reverse of `_parsed`: if the member holds other forms, return their bodies."""
    if not isinstance(declared[-1], type):
        return value
    if declared[2] is is_form:
        return value.body()
    if declared[2] is is_list:
        return [item.body() for item in value]
    return {key: item.body() for key, item in value.items()}
