"""Attacks on the response as a whole, and on the accepted document types."""

from dataclasses import replace
from typing import Any

from tests.support.attacks.building import PID, Build, answer, drop, items, one, put, scoped
from tests.support.credential import (
    Case,
    Credential,
    present,
    session_transcript,
)


def _duplicate(response: Any) -> None:
    response["documents"].append(response["documents"][0])


def _forged_neighbour() -> Case:
    return present(Credential(), Credential(doc_type=PID, change_issuer_auth=put(3, bytes(64))))


WHOLE: dict[str, tuple[str, Build]] = {
    # The response as a whole
    "an empty response": ("cbor.truncated", lambda: replace(present(), device_response=b"")),
    "a truncated response": (
        "cbor.truncated",
        lambda: replace(present(), device_response=present().device_response[:-1]),
    ),
    "bytes after the response": (
        "cbor.trailing",
        lambda: replace(present(), device_response=present().device_response + b"\x00"),
    ),
    "5,000 nested arrays": ("cbor.depth", lambda: replace(present(), device_response=b"\x81" * 5000)),
    "a length of 2^63": ("cbor.truncated", lambda: replace(present(), device_response=b"\x9b\x80" + bytes(7))),
    "a byte string of 2^64-1": ("cbor.truncated", lambda: replace(present(), device_response=b"\x5b" + b"\xff" * 8)),
    "an indefinite length": ("cbor.indefinite", lambda: replace(present(), device_response=b"\xbf\xff")),
    "a million tiny items": ("mdoc.too_long", lambda: replace(present(), device_response=b"\x80" * 1_000_000)),
    "60,000 empty maps": (
        "cbor.items",
        lambda: replace(present(), device_response=b"\x99\xea\x60" + b"\xa0" * 60_000),
    ),
    "a response that is no map": ("mdoc.form", lambda: replace(present(), device_response=b"\x80")),
    "no version": ("mdoc.form", answer(drop("version"))),
    "version 2.0": ("mdoc.version", answer(put("version", "2.0"))),
    "version 1": ("mdoc.version", answer(put("version", "1"))),
    "status 10, general error": ("mdoc.status", answer(put("status", 10))),
    "status 11, CBOR decoding error": ("mdoc.status", answer(put("status", 11))),
    "status 12, CBOR validation error": ("mdoc.status", answer(put("status", 12))),
    "an unknown status beside a good document": ("mdoc.status", answer(put("status", 99))),
    "a status that is true": ("mdoc.form", answer(put("status", False))),
    "no documents at all": ("mdoc.no_documents", answer(drop("documents"))),
    "an empty list of documents": ("mdoc.no_documents", answer(put("documents", []))),
    "five documents": ("mdoc.too_many", answer(lambda item: item["documents"].extend(item["documents"] * 4))),
    "129 elements": ("mdoc.too_many", items(lambda elements: elements.extend([elements[0]] * 124))),
    "the same document twice": ("mdoc.duplicate_document", answer(_duplicate)),
    "a forged document beside a good one": ("mdoc.issuer_signature", _forged_neighbour),
    "a document without issuerSigned": ("mdoc.form", one(change_document=drop("issuerSigned"))),
    "a document without deviceSigned": ("mdoc.form", one(change_document=drop("deviceSigned"))),
    "a session transcript of two members": (
        "mdoc.session_transcript",
        lambda: present(session=b"\x82\xf6\xf6"),
    ),
    "a session transcript with bytes after it": (
        "mdoc.session_transcript",
        lambda: present(session=session_transcript() + b"\x00"),
    ),
    # Document type
    "a document type not accepted here": ("mdoc.doctype_not_accepted", one(doc_type="org.iso.7367.1.mVRC")),
    "a document type that the caller left out": ("mdoc.doctype_not_accepted", lambda: present(doc_types=[PID])),
    "an empty list of accepted types": ("mdoc.doctype_not_accepted", lambda: present(doc_types=[])),
    "an IACA trusted for other types only": ("mdoc.root_doctype", scoped([PID])),
    "a document type mismatch": ("mdoc.doctype", one(change_mso=put("docType", PID))),
}
