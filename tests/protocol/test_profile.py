"""The jurisdiction profile: its request to a wallet, the fields made from the answer, and the province's check."""

import copy
from typing import Any

import pytest

from protocol import cbor, record, registration
from protocol.errors import FormatError, MooringError, RefusedError, VerificationError
from protocol.mdoc.verifier import DOC_TYPES
from protocol.profile import Profile
from sim.province.registry import PROFILES
from tests.support.chain import RESIDENT, check_in, entry
from tests.support.on_lock import run_on_lock

CN = Profile.parse(PROFILES["CN"])
RESIDENT_ID = "org.mooring.cn.resident-id.1"
MDL = "org.iso.18013.5.1.mDL"
PHOTO_ID = "org.iso.23220.photoid.1"
PHOTO_ID_TOO = "org.iso.23220.photoID.1"
PID = "eu.europa.ec.eudi.pid.1"

ELEMENTS: dict[str, dict[str, dict[str, Any]]] = {
    RESIDENT_ID: {
        RESIDENT_ID: {
            "name": "王小明",
            "sex": 1,
            "ethnicity": "汉",
            "birth_date": cbor.Tag(1004, "1990-03-07"),
            "resident_address": "浙江省杭州市西湖区文三路138号",
            "document_number": "330106199003070014",
        }
    },
    MDL: {
        "org.iso.18013.5.1": {
            "family_name": "Okonkwo",
            "given_name": "Ada  Marie ",
            "sex": 2,
            "birth_date": cbor.Tag(1004, "1988-02-29"),
            "document_number": "d1 234-x",
            "nationality": "NG",
        }
    },
    PHOTO_ID: {
        "org.iso.23220.1": {
            "family_name": "김",
            "given_name": "민준",
            "sex": 9,
            "birth_date": {"birth_date": cbor.Tag(1004, "1970-01-01"), "approximate_mask": "00000011"},
            "document_number": "K2",
            "nationality": "kor",
        },
        "org.iso.23220.photoid.1": {"travel_document_number": "M12345678"},
    },
    PID: {
        PID: {
            "family_name": "Müller",
            "given_name": "Jo",
            "sex": 5,
            "birth_date": cbor.Tag(0, "2001-12-31T00:00:00Z"),
            "personal_administrative_number": "L01X00T47",
            "nationality": ["DE", "FR"],
        }
    },
}

FIELDS = {
    RESIDENT_ID: RESIDENT,
    MDL: {
        "id_type": "driving-licence",
        "name": "Okonkwo Ada Marie",
        "sex": "female",
        "birth_date": "1988-02-29",
        "id_number": "D1234-X",
        "nationality": "NG",
    },
    PHOTO_ID: {
        "id_type": "photo-id",
        "name": "김민준",
        "sex": "other",
        "birth_date": "1970-01-01",
        "id_number": "M12345678",
        "nationality": "KOR",
    },
    PID: {
        "id_type": "person-identification-data",
        "name": "Müller Jo",
        "sex": "other",
        "birth_date": "2001-12-31",
        "id_number": "L01X00T47",
        "nationality": "DE",
    },
}
ALL = pytest.mark.parametrize("doc_type", sorted(ELEMENTS))


def with_element(doc_type: str, element: str, value: Any) -> dict[str, dict[str, Any]]:
    """Return the elements of a document, with `value` for one element. The value None removes the element."""
    elements = copy.deepcopy(ELEMENTS[doc_type])
    for name_space in elements.values():
        if element in name_space:
            name_space[element] = value
    return elements


# --- at the lock -----------------------------------------------------------------------------------------------------


@ALL
def test_every_document_type_gives_the_same_canonical_fields(doc_type: str) -> None:
    assert CN.fields(doc_type, ELEMENTS[doc_type]) == FIELDS[doc_type]


@ALL
def test_a_wallet_is_asked_for_nothing_that_is_not_registered(doc_type: str) -> None:
    asked = CN.request([doc_type])[doc_type]
    mapped = PROFILES["CN"]["documents"][doc_type]["fields"].values()
    assert {(ns, one) for ns, elements in asked.items() for one in elements} == {tuple(p) for m in mapped for p in m}
    assert not any("portrait" in one or "biometric" in one for elements in asked.values() for one in elements)


def test_only_known_document_types_are_asked_for() -> None:
    assert list(CN.request([MDL, "org.example.club-card"])) == [MDL]
    with pytest.raises(RefusedError) as caught:
        CN.fields("org.example.club-card", {})
    assert caught.value.code == "profile.document"


@pytest.mark.parametrize(
    ("doc_type", "element", "field"),
    [
        (RESIDENT_ID, "name", "name"),
        (RESIDENT_ID, "ethnicity", "ethnicity"),
        (RESIDENT_ID, "resident_address", "address"),
        (RESIDENT_ID, "document_number", "id_number"),
        (MDL, "nationality", "nationality"),
        (MDL, "sex", "sex"),
        (PID, "birth_date", "birth_date"),
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_a_document_that_lacks_a_required_field_is_refused(
    doc_type: str, element: str, field: str, value: str | None
) -> None:
    with pytest.raises(RefusedError) as caught:
        CN.fields(doc_type, with_element(doc_type, element, value))
    assert caught.value.code == "profile.missing" and field in caught.value.message


def test_one_name_is_enough_and_an_address_abroad_is_welcome_but_not_required() -> None:
    assert CN.fields(MDL, with_element(MDL, "given_name", None))["name"] == "Okonkwo"
    elements = copy.deepcopy(ELEMENTS[MDL])
    elements["org.iso.18013.5.1"]["resident_address"] = " 12 High Street,\n Enugu "
    assert CN.fields(MDL, elements)["address"] == "12 High Street, Enugu"


def test_elements_that_nobody_asked_for_are_not_registered() -> None:
    elements = copy.deepcopy(ELEMENTS[MDL])
    elements["org.iso.18013.5.1"]["portrait"] = b"\xff\xd8"
    assert CN.fields(MDL, elements) == FIELDS[MDL]


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("sex", "M"),
        ("sex", 7),
        ("sex", True),
        ("birth_date", cbor.Tag(1004, "1990-02-29")),
        ("birth_date", cbor.Tag(1004, "1990-13-01")),
        ("birth_date", cbor.Tag(1004, "07.03.1990")),
        ("birth_date", 641779200),
        ("birth_date", {}),
        ("nationality", "Nigeria"),
        ("nationality", "N1"),
        ("nationality", []),
        ("family_name", b"Okonkwo"),
        ("family_name", "x" * 513),
        ("document_number", 12345),
    ],
)
def test_an_element_that_is_not_what_its_standard_says_is_refused_without_being_told(element: str, value: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        CN.fields(MDL, with_element(MDL, element, value))
    assert caught.value.code == "profile.value"
    assert str(value) not in str(caught.value)


def test_control_characters_never_reach_a_register() -> None:
    fields = CN.fields(RESIDENT_ID, with_element(RESIDENT_ID, "name", "王\x1b[2J小\u3000明\x00"))
    assert fields["name"] == "王[2J小 明"


# --- the profile itself ----------------------------------------------------------------------------------------------


def changed(**members: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PROFILES["CN"]), **members}


@pytest.mark.parametrize(
    "element", ["portrait", "portrait_capture_date", "signature_usual_mark", "biometric_template_face", "dg2"]
)
def test_a_profile_that_would_ask_for_what_must_not_be_collected_is_refused(element: str) -> None:
    body = changed()
    body["documents"][MDL]["fields"]["address"] = [["org.iso.18013.5.1", element]]
    with pytest.raises(VerificationError) as caught:
        Profile.parse(body)
    assert caught.value.code == "profile.never"


def test_a_profile_that_requires_what_a_document_cannot_show_is_refused() -> None:
    body = changed()
    del body["documents"][MDL]["fields"]["nationality"]
    with pytest.raises(FormatError) as caught:
        Profile.parse(body)
    assert caught.value.code == "profile.form"


REQUESTS = PROFILES["CN"]["requests"]


@pytest.mark.parametrize(
    "members",
    [
        {"id": ""},
        {"version": 0},
        {"deadline_seconds": -1},
        {"retention_days": "1095"},
        {"never": ["portrait", 1]},
        {"fields": {"resident": ["name"]}},
        {"fields": {"resident": ["name"], "foreign": ["shoe_size"]}},
        {"fields": {"resident": ["name"], 1: ["name"]}},
        {"documents": {}},
        {"documents": {MDL: {"id_type": "x", "class": "alien", "fields": {}}}},
        {"documents": {MDL: {"id_type": "x", "class": "foreign", "fields": {"shoe_size": [["a", "b"]]}}}},
        {"documents": {MDL: {"id_type": "x", "class": "foreign", "fields": {"name": [["a"]]}}}},
        {"surprise": 1},
        {"requests": []},
        {"requests": [[]]},
        {"requests": [MDL, RESIDENT_ID]},
        {"requests": {"1": [MDL]}},
        {"requests": [[1], *REQUESTS]},
        {"requests": REQUESTS[1:]},
        {"requests": [*REQUESTS, ["org.example.club-card"]]},
        {"requests": [*REQUESTS, REQUESTS[0]]},
        {"requests": [[doc_type, doc_type] for (doc_type,) in REQUESTS]},
    ],
)
def test_a_profile_of_another_form_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        Profile.parse(changed(**members))
    assert caught.value.code == "profile.form"


TRUST = PROFILES["CN"]["trust"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"suites": []},
        {"suites": ["sm", "sm"]},
        {"suites": ["rsa"]},
        {"suites": "sm"},
        {"max_age_seconds": {"trust_list": 1, "crl": 1}},
        {"max_age_seconds": {"trust_list": 1, "crl": 1, "status_list": 0}},
        {"max_age_seconds": {"trust_list": 1, "crl": 1, "status_list": 1, "other": 1}},
        {"max_age_seconds": {"trust_list": 1, "crl": 1, "status_list": True}},
        {"max_age_seconds": 86400},
        {"stale": "refuse"},
        {"stale": None},
        {"unlisted": "refuse-new"},
        {"surprise": 1},
    ],
)
def test_rules_of_trust_that_say_something_else_are_refused(wrong: dict[str, Any]) -> None:
    Profile.parse(changed(trust={**TRUST, "stale": "refuse-all", "unlisted": "refuse", "suites": ["sm"]}))
    for rules in ({**TRUST, **wrong}, {name: rule for name, rule in TRUST.items() if name not in wrong}):
        with pytest.raises(FormatError) as caught:
            Profile.parse(changed(trust=rules if rules != TRUST else None))
        assert caught.value.code == "profile.form"


def test_cn_takes_both_suites_and_nobody_new_by_a_stale_list() -> None:
    assert (CN.trust.suites, CN.trust.stale, CN.trust.unlisted) == (["sm", "nist"], "refuse-new", "accept")


def test_requests_keep_their_order_and_may_be_for_several_types() -> None:
    together = [REQUESTS[3] + REQUESTS[0], REQUESTS[2] + REQUESTS[1], REQUESTS[4]]
    assert Profile.parse(changed(requests=together)).requests == together
    assert CN.requests == [[RESIDENT_ID], [MDL], [PHOTO_ID], [PID], [PHOTO_ID_TOO]], "most first, one type at a time"


def test_two_document_types_share_an_id_type_only_if_they_register_alike() -> None:
    body = changed()
    body["requests"].append(["org.example.copy"])
    original = body["documents"][MDL]
    copy = {**original, "fields": {name: path for name, path in original["fields"].items() if name != "address"}}
    for document in (original, {**copy, "id_type": "copy"}):
        body["documents"]["org.example.copy"] = document
        Profile.parse(body)
    for document in (copy, {**original, "class": "resident"}):
        body["documents"]["org.example.copy"] = document
        with pytest.raises(FormatError):
            Profile.parse(body)


def test_what_the_verifier_accepts_by_default_is_what_wallets_are_asked_for() -> None:
    assert sorted(DOC_TYPES) == sorted(doc_type for types in CN.requests for doc_type in types)
    assert sorted(DOC_TYPES) == sorted(CN.request(DOC_TYPES))


def test_a_photo_id_registers_alike_whichever_way_its_type_is_written() -> None:
    other = {name.replace(PHOTO_ID, PHOTO_ID_TOO): elements for name, elements in ELEMENTS[PHOTO_ID].items()}
    assert CN.fields(PHOTO_ID_TOO, other) == CN.fields(PHOTO_ID, ELEMENTS[PHOTO_ID]) == FIELDS[PHOTO_ID]


def test_the_law_of_the_profile_is_the_one_on_the_books() -> None:
    assert (CN.id, CN.deadline_seconds, CN.foreign_deadline_seconds, CN.retention_days) == ("CN", 0, 86400, 1095)


# --- at the province -------------------------------------------------------------------------------------------------


@ALL
def test_what_the_lock_makes_the_province_takes(doc_type: str) -> None:
    body = check_in()
    body[record.FIELDS] = CN.fields(doc_type, ELEMENTS[doc_type])
    registration.check(CN, body)
    registration.check(CN, entry())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**check_in(), 7: "ES"}, "profile.id"),
        ({**check_in(), 3: None}, "profile.time"),
        (check_in(id_type="library-card"), "profile.document"),
        (check_in(id_type=""), "profile.document"),
        (check_in(ethnicity=""), "profile.missing"),
        (check_in(address=""), "profile.missing"),
        (check_in(nationality="CN"), "profile.extra"),
        (check_in(portrait="/9j/4AAQ"), "profile.extra"),
        (check_in(sex="M"), "profile.value"),
        (check_in(birth_date="1990-02-30"), "profile.value"),
        (check_in(birth_date="1790-01-01"), "profile.value"),
        (check_in(id_number="33010619900307001x"), "profile.value"),
        (check_in(name=" 王小明"), "profile.value"),
        (check_in(name="王\x07小明"), "profile.value"),
    ],
)
def test_a_record_that_is_not_what_the_profile_wants_is_told_apart(body: dict[Any, Any], code: str) -> None:
    with pytest.raises(VerificationError) as caught:
        registration.check(CN, body)
    assert caught.value.code == code


def test_lock_and_province_read_the_profile_alike() -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, cbor.Tag):
            return {"tag": value.number, "value": value.value}
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    bad = with_element(MDL, "nationality", None)
    answer = run_on_lock(
        """
from protocol import cbor
from protocol.errors import MooringError
from protocol.profile import Profile
profile = Profile.parse(cbor.decode_deterministic(bytes.fromhex(given["profile"])))
def full(value):
    if isinstance(value, dict):
        if "tag" in value:
            return cbor.Tag(value["tag"], value["value"])
        return {key: full(item) for key, item in value.items()}
    return value
def fields(doc_type, elements):
    try:
        return profile.fields(doc_type, full(elements))
    except MooringError as error:
        return error.code
answer([profile.request([t for types in profile.requests for t in types]), [fields(d, e) for d, e in given["cases"]]])
""",
        {
            "profile": cbor.encode(PROFILES["CN"]).hex(),
            "cases": [[doc_type, plain(elements)] for doc_type, elements in [*ELEMENTS.items(), (MDL, bad)]],
        },
    )
    assert answer[0] == CN.request([doc_type for types in CN.requests for doc_type in types])
    assert answer[1] == [*(FIELDS[doc_type] for doc_type in ELEMENTS), "profile.missing"]


def test_hostile_profiles_are_refused_in_order() -> None:
    for body in ({}, {1: 2}, {"id": "CN", 1: 2}, changed(documents=[]), changed(never=None), changed(fields=7)):
        with pytest.raises(MooringError):
            Profile.parse(body)
