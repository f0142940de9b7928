"""Jurisdiction profile: the registration that the law requires, as data (profile.cddl). profiles/*.json hold it as
JSON.

Lock and province use the same profile. The lock asks a wallet only for elements that the profile maps, and turns the
elements of any document type into the canonical fields below. The province checks records against the profile
(`registration`).
"""

from protocol import cbor, const, dates, statement
from protocol.errors import FormatError, RefusedError, VerificationError
from protocol.grant import RELATIONS
from protocol.naming import canonical_number
from protocol.trust_rules import TrustRules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "profile"

CANONICAL = ("name", "sex", "ethnicity", "birth_date", "address", "id_type", "id_number", "nationality")
"""Fields of a registration that come from a document. Times and the room are in the record itself."""

GUARDIAN = "guardian"
RELATION = "relation"
OF_MINORS = (GUARDIAN, RELATION)
"""Fields that only a minor's registration has. No document shows them. GUARDIAN is the guest number of the adult who
answers for the minor, or NOBODY. The adult must belong to the same stay. RELATION is the adult's relation to the minor,
one of `grant.RELATIONS`."""

NOBODY = "nobody"

SEXES = ("male", "female", "other", "unknown")

RESIDENT = "resident"
FOREIGN = "foreign"

# ISO/IEC 5218 codes as mDL and photo ID use them. There, 9 stands for X. The PID rulebook adds the codes 3 to 6.
_SEX_CODES = {0: "unknown", 1: "male", 2: "female", 3: "other", 4: "other", 5: "other", 6: "other", 9: "other"}
# Text is processed as UTF-8 bytes. If a program takes a single character out of a text, MicroPython never frees the
# memory of that character.
_SPACES = const(b" \t\r\n\xc2\xa0\xe3\x80\x80")
_CJK = const(b"\xe2\xba\x80")  # Scripts with the code point U+2E80 or a higher one write a name without a space in it.


def _is_labels(value: "Any", least: int, most: int) -> bool:
    return statement.is_list(value, least, most, statement.is_label)


def _is_required(value: "Any") -> bool:
    if not isinstance(value, dict) or set(value) != {FOREIGN, RESIDENT}:
        return False
    return all(statement.is_list(names, 1, 64, statement.is_choice, *CANONICAL) for names in value.values())


def _is_fields(value: "Any") -> bool:
    return isinstance(value, dict) and all(
        name in CANONICAL and name != "id_type" and statement.is_list(paths, 1, 4, _is_labels, 2, 2)
        for name, paths in value.items()
    )


class Fields:
    """What a document type shows: a map from a canonical field to a list of elements, each as [namespace, element].

    The map is kept in CBOR, and made anew at each use. As lists of texts, the maps of one profile took 9 KB of a lock's
    heap."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    @classmethod
    def parse(cls, paths: "Any", known: bool = False) -> "Fields":
        """Pack `paths`. They are checked unless they are `known`. Raises FormatError `profile.form`."""
        if not known and not _is_fields(paths):
            raise FormatError("profile.form", "a map of fields has the wrong form")
        return cls(cbor.encode(paths))

    def body(self) -> "dict[str, list[list[str]]]":
        """Return the map."""
        paths: "dict[str, list[list[str]]]" = cbor.decode(self._encoded)
        return paths


class Document(statement.Form):
    """A document type. `holder` is RESIDENT or FOREIGN. `fields` are the fields that it shows. `id_type` is the name of
    this type in a registration."""

    CODE = "profile.form"
    VERSION = 0

    holder: str = statement.field("class", statement.is_choice, RESIDENT, FOREIGN)
    fields: Fields = statement.field("fields", statement.is_form, Fields)
    id_type: str = statement.field("id_type", statement.is_label)


class Minors(statement.Form):
    """The rules for guests below the age `of_age` in years (0: there are no such rules). `adult_first` says whether an
    adult of the stay must check in before a minor. `fields` are the members of OF_MINORS that are registered."""

    CODE = "profile.form"
    VERSION = 0

    adult_first: bool = statement.field("adult_first", statement.is_bool)
    fields: "list[str]" = statement.field("fields", statement.is_list, 0, 2, statement.is_choice, *OF_MINORS)
    of_age: int = statement.field("of_age", statement.is_uint, 99)


class Profile(statement.Form):
    """A profile. `serial` is its version. A lock accepts a new profile only if its `serial` is higher.

    `deadline_seconds` and `foreign_deadline_seconds` are the time that the law allows for a registration (0: at once).
    `retention_days` is the number of days for which the province keeps a registration. `documents` has each document
    type that may be shown. `required` has the fields of a registration for RESIDENT and for FOREIGN. `never` lists
    elements that must not be collected; a `*` at the end stands for any text. `trust` holds the rules for issuers and
    revocation. `requests` has one list of document types for each request to a wallet, in the order of the requests.
    """

    CODE = "profile.form"
    VERSION = 0

    deadline_seconds: int = statement.field("deadline_seconds", statement.is_uint)
    documents: "dict[str, Document]" = statement.field(
        "documents", statement.is_map, 1, 16, statement.is_label, Document
    )
    foreign_deadline_seconds: int = statement.field("foreign_deadline_seconds", statement.is_uint)
    id: str = statement.field("id", statement.is_label)
    minors: Minors = statement.field("minors", statement.is_form, Minors)
    never: "list[str]" = statement.field("never", _is_labels, 0, 64)
    requests: "list[list[str]]" = statement.field("requests", statement.is_list, 0, 16, _is_labels, 1, 64)
    required: "dict[str, list[str]]" = statement.field("fields", _is_required)
    retention_days: int = statement.field("retention_days", statement.is_positive)
    serial: int = statement.field("version", statement.is_positive)
    trust: TrustRules = statement.field("trust", statement.is_form, TrustRules)

    def check(self) -> None:
        """Check the rules that concern several members.

        Raises FormatError `profile.form` for a wrong form. Raises VerificationError `profile.never` if the profile asks
        for an element that the profile itself forbids.
        """
        of_id_type: "dict[str, tuple[str, list[str]]]" = {}
        for document in self.documents.values():
            self._check_document(document)
            kind = document.holder, sorted(document.fields.body())
            if of_id_type.setdefault(document.id_type, kind) != kind:
                raise FormatError(self.CODE, "two document types of one id_type register different fields")
        asked = [doc_type for types in self.requests for doc_type in types]
        if sorted(asked) != sorted(self.documents):
            raise FormatError(self.CODE, "the requests must name each document type exactly once")
        if self.minors.of_age and not all("birth_date" in names for names in self.required.values()):
            raise FormatError(self.CODE, "rules for minors need the birth date in each class")

    def _check_document(self, document: Document) -> None:
        shown = document.fields.body()
        for paths in shown.values():
            for _, element in paths:
                if any(_is_named(element, name) for name in self.never):
                    raise VerificationError("profile.never", "asks for an element that must not be collected")
        for name in self.required[document.holder]:
            if name != "id_type" and name not in shown:
                raise FormatError(self.CODE, "a document type cannot show a required field")

    def request(self, doc_types: "list[str]") -> "dict[str, dict[str, list[str]]]":
        """Return the elements to ask a wallet for, as {docType: {namespace: [element]}}. Unknown types among
        `doc_types` are left out."""
        items: dict[str, dict[str, list[str]]] = {}
        for doc_type in doc_types:
            if doc_type in self.documents:
                name_spaces: dict[str, list[str]] = {}
                for paths in self.documents[doc_type].fields.body().values():
                    for name_space, element in paths:
                        name_spaces.setdefault(name_space, []).append(element)
                items[doc_type] = {name_space: sorted(set(elements)) for name_space, elements in name_spaces.items()}
        return items

    def fields(self, doc_type: str, elements: "dict[str, dict[str, Any]]") -> "dict[str, str]":
        """Return the canonical fields from verified `elements`, {namespace: {element: value}} as CBOR decodes them.

        `name` joins all its elements, family name first. Any other field takes the first of its elements that is
        present. Raises RefusedError `profile.document` for a type not in the profile, `profile.missing` if a required
        field is missing, `profile.value` if an element does not have the form of its standard.
        """
        document = self.documents.get(doc_type)
        if document is None:
            raise RefusedError("profile.document", "a document type that the profile does not know")
        fields = {"id_type": document.id_type}
        for name, paths in document.fields.body().items():
            found = []
            for name_space, element in paths:
                value = elements.get(name_space, {}).get(element)
                if value is not None and value != "":
                    found.append(value)
            text = _canonical(name, found) if found else ""
            if text:
                fields[name] = text
        for name in self.required[document.holder]:
            if name not in fields:
                raise RefusedError("profile.missing", "the document does not show its " + name)
        return fields

    def is_resident(self, doc_type: str) -> bool:
        """Is `doc_type` a document type for residents? The profile must know `doc_type`."""
        return self.documents[doc_type].holder == RESIDENT

    def is_minor(self, birth_date: str, now: int) -> bool:
        """Can someone born on `birth_date` (YYYY-MM-DD) be a minor at `now`? `now` is the earliest possible time in
        seconds.

        A person is of age when the birthday has begun everywhere on earth. In UTC-12, a day begins later than anywhere
        else. A person born on 29 February comes of age on 1 March if the year of coming of age has no 29 February.
        Raises FormatError `date.form`.
        """
        dates.from_full_date(birth_date)
        if not self.minors.of_age:
            return False
        year = int(birth_date[:4]) + self.minors.of_age
        if year > 9999:
            return True
        try:
            day = dates.from_full_date("%04d" % year + birth_date[4:])
        except FormatError:
            day = dates.from_full_date("%04d-03-01" % year)
        return now < day * 86400 + 43200

    def of_minor(self, guardian: "int | None", relation: str) -> "dict[str, str]":
        """Return the fields of OF_MINORS that this profile wants in a minor's registration."""
        shown = {GUARDIAN: NOBODY if guardian is None else str(guardian), RELATION: relation}
        return {name: shown[name] for name in self.minors.fields}


# --- canonical forms -------------------------------------------------------------------------------------------------


def _canonical(name: str, found: "list[Any]") -> str:
    if name == "name":
        return _join([_text(name, value) for value in found])
    value = found[0]
    if name == "sex":
        text = _SEX_CODES.get(value) if isinstance(value, int) and not isinstance(value, bool) else None
    elif name == "birth_date":
        text = _date(value)
    elif name == "nationality":
        # A PID lists all nationalities. The registration takes the first nationality.
        listed = value[0] if isinstance(value, list) and value else value
        text = canonical_number(_text(name, listed))
    elif name == "id_number":
        text = canonical_number(_text(name, value))
    else:
        text = _text(name, value)
    if text is None or not is_canonical(name, text):
        raise RefusedError("profile.value", name + " does not have the form of its standard")
    return text


def is_canonical(name: str, text: str) -> bool:
    """Is `text` the canonical form of the field `name`?"""
    if name == "sex":
        return text in SEXES
    if name == "birth_date":
        return is_date(text)
    if name == GUARDIAN:
        return text == NOBODY or (_is_number(text) and text[0] != "0")
    if name == RELATION:
        return text in RELATIONS
    if name == "nationality":
        return len(text) in (2, 3) and all("A" <= c <= "Z" for c in text)
    if name == "id_number":
        return canonical_number(text) == text
    return text == _text(name, text)


def _text(name: str, value: "Any") -> str:
    """Return `value` without control characters. Each run of white space becomes one space, and white space at the ends
    is removed."""
    if not isinstance(value, str) or len(value) > 512:
        raise RefusedError("profile.value", name + " is not text, or too long")
    data = value.encode()
    words, at = [bytearray()], 0
    while at < len(data):
        size = 1 if data[at] < 0x80 else 2 if data[at] < 0xE0 else 3 if data[at] < 0xF0 else 4
        letter = data[at : at + size]
        at += size
        if letter in _SPACES:
            if words[-1]:
                words.append(bytearray())
        elif letter[0] >= 32 and letter[0] != 127:
            words[-1].extend(letter)
    return b" ".join([bytes(word) for word in words if word]).decode()


def _join(parts: "list[str]") -> str:
    joined = b""
    for part in parts:
        added, last = part.encode(), len(joined)
        while last > 0 and joined[last - 1] & 0xC0 == 0x80:
            last -= 1
        if joined and added and not (joined[last - 1 :] >= _CJK and added >= _CJK):
            joined += b" "
        joined += added
    return joined.decode()


def _date(value: "Any") -> "str | None":
    """Return YYYY-MM-DD from a full-date (tag 1004), a tdate (tag 0), or the structure of ISO/IEC 23220-2 6.3.1.1.3."""
    if isinstance(value, dict):
        value = value.get("birth_date")
    # The value is a `Tag` or text. The class is not checked, so a decoder with its own tag class works as well.
    text = getattr(value, "value", value)
    return text[:10] if isinstance(text, str) and (len(text) == 10 or text[10:11] == "T") else None


def is_date(text: str) -> bool:
    """Is `text` a date YYYY-MM-DD in the year 1800 or later?"""
    try:
        dates.from_full_date(text)
    except FormatError:
        return False
    return text >= "1800"


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 4 and all("0" <= c <= "9" for c in text)


def _is_named(element: str, name: str) -> bool:
    return element == name or (name[-1] == "*" and element.startswith(name[:-1]))
