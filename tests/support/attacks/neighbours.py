"""Cases that are similar to the attacks, but must be accepted."""

from dataclasses import replace

import cbor2
from cryptography.hazmat.primitives import hashes

from tests.support.attacks.building import (
    ANY,
    CLIENT_AUTH,
    DAY,
    PID,
    Build,
    answer,
    at,
    authorizing,
    below,
    bringing,
    drop,
    mac,
    one,
    put,
    scoped,
    under,
)
from tests.support.credential import (
    DOCUMENT_SIGNER,
    DS,
    IACA,
    MDL,
    MDL_NAME_SPACE,
    NOW,
    SIGNED,
    Case,
    Credential,
    name,
    other_writing,
    present,
    tdate,
)

IACA_DER = IACA.certificate(IACA)
_RENEWED_DER = replace(IACA, not_before=IACA.not_before + DAY).certificate(IACA)
_OVER = replace(IACA, not_after=NOW - DAY)


def _renewed_root() -> Case:
    renewed = replace(IACA, key_name="renewed")
    return present(roots=[(renewed.certificate(renewed), None), (IACA_DER, None)])


GOOD: dict[str, Build] = {
    "a deviceSignature": one(),
    "a deviceMac": mac(),
    "a deviceSignature on P-384": one(curve="P-384"),
    "a deviceMac on P-384": mac(curve="P-384"),
    "an issuer on P-384": one(iaca=replace(IACA, curve="P-384"), ds=replace(DS, curve="P-384")),
    "an issuer on P-521": one(iaca=replace(IACA, curve="P-521"), ds=replace(DS, curve="P-521")),
    "a deviceSignature on P-521": one(curve="P-521"),
    "a path signed with SHA-512": below(hash_algorithm=hashes.SHA512()),
    "digests of SHA-384": one(digest_algorithm="SHA-384"),
    "digests of SHA-512": one(digest_algorithm="SHA-512"),
    "two documents": lambda: present(Credential(), Credential(doc_type=PID)),
    "version 1.1": answer(put("version", "1.1")),
    "documentErrors beside a document": answer(put("documentErrors", [{PID: 0}])),
    "members that later editions add": one(change_mso=put("status", {"status_list": {"idx": 1, "uri": "u"}})),
    "an identifier list": one(
        change_mso=put("status", {"identifier_list": {"id": b"i", "uri": "u", "certificate": b""}})
    ),
    "a status of a kind that nobody knows yet": one(change_mso=put("status", {"other": 1})),
    "an x5chain as an array of one": one(change_issuer_auth=lambda m: put(1, 33, [m[1][33]])(m)),
    "an x5chain that ends in the trusted root itself": bringing(IACA_DER),
    "an x5chain that ends in a root trusted for something else": bringing(
        IACA_DER, roots=[(IACA_DER, [PID]), (_RENEWED_DER, [MDL])]
    ),
    "an IACA renewed under the same name": _renewed_root,
    "an IACA with an entry for each document type": lambda: present(roots=[(IACA_DER, [PID]), (IACA_DER, [MDL])]),
    "an IACA of whose certificates one is over": lambda: present(
        roots=[(_OVER.certificate(_OVER), [MDL]), (IACA_DER, [MDL])]
    ),
    "an IACA whose name is written otherwise in the DS certificate": lambda: present(
        Credential(ds_certificate=DS.certificate(IACA, other_writing("uTopia  IACA ")))
    ),
    "an IACA trusted for this type": scoped([MDL]),
    "certificates without key identifiers": lambda: present(
        Credential(
            iaca=replace(IACA, subject_key_identifier=None),
            ds=replace(DS, authority_key_identifier=None, subject_key_identifier=None),
        )
    ),
    "an unknown extension that is not critical": under(extra=((ANY, False),)),
    "another purpose beside the document signer's": under(purposes=(CLIENT_AUTH, DOCUMENT_SIGNER)),
    "IACA and DS certificate of one state": lambda: present(
        Credential(
            iaca=replace(IACA, subject=name("Utopia IACA", "UT", "UT-1")),
            ds=replace(DS, subject=name("Utopia DS", "UT", "UT-1")),
            elements={MDL_NAME_SPACE: {"issuing_country": "UT", "issuing_jurisdiction": "UT-1"}},
        )
    ),
    "the first second of validity": at(SIGNED, SIGNED),
    "the last second of validity": at(NOW + 60 * DAY, NOW + 60 * DAY),
    "a clock uncertain within the validity": at(SIGNED, NOW + 60 * DAY),
    "a date with fraction and offset": one(
        change_mso=put("validityInfo", "validUntil", cbor2.CBORTag(0, "2026-06-15T14:00:00.999+02:00"))
    ),
    "an expected update in the validity": one(change_mso=put("validityInfo", "expectedUpdate", tdate(NOW + DAY))),
    "issuerAuth in its tag": one(
        change_document=lambda d: put("issuerSigned", "issuerAuth", cbor2.CBORTag(18, d["issuerSigned"]["issuerAuth"]))(
            d
        )
    ),
    "an authorized name space signed by the device": one(
        device_elements={"org.example": {"nickname": "E"}}, **authorizing(nameSpaces=["org.example"])
    ),
    "an authorized element signed by the device": one(
        device_elements={"org.example": {"nickname": "E"}}, **authorizing(dataElements={"org.example": ["nickname"]})
    ),
    "no elements at all": one(
        elements={MDL_NAME_SPACE: {"given_name": "E"}}, change_document=drop("issuerSigned", "nameSpaces")
    ),
    "a portrait of 30 KB": one(elements={MDL_NAME_SPACE: {"portrait": bytes(range(250)) * 120}}),
    "a document type that only the caller allows": lambda: present(
        Credential(doc_type="org.iso.7367.1.mVRC"), doc_types=["org.iso.7367.1.mVRC"]
    ),
}
