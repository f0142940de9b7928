"""Issues credentials with pymdoccbor, an independent library, so that our verifier is not tested with our own output.

The library's output is used unchanged. A caller has to know these quirks of pymdoccbor 1.4.0:

- Validity is given as two dates without a time of day. `validFrom` becomes the first date or the current time,
  whichever is later. `validUntil` becomes the end of the second date. So a credential that expired yesterday has a
  `validFrom` and a `signed` after its `validUntil`. No issuer would sign such a credential, but verifiers must refuse
  it all the same.

- Elements named birth_date, expiry_date, issue_date and issuance_date become full-dates (tag 1004), both at the top
  level and one level below. The library writes the tags into the caller's nested values, so `issue` passes it a copy.

- The library fails on a list of text, except under the name `nationality`. A tuple works, and becomes the same CBOR
  array.

- A device key that is given as PEM loses the leading zero bytes of its coordinates. A device key that is given as COSE
  labels keeps these zero bytes, so `issue` uses COSE labels.

- The argument `status` of the method `new` is written beside the documents. The argument `revocation` is written into
  the MobileSecurityObject, which is the place that ISO/IEC 18013-5 requires.

- The x5chain contains exactly the certificates that the caller gives. Here the x5chain contains only the document
  signer, and not the root.
"""

import copy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from pymdoccbor.mdoc.issuer import MdocCborIssuer

from sim.pki import Identity

MDL = "org.iso.18013.5.1.mDL"
PHOTO_ID = "org.iso.23220.photoid.1"
PID = "eu.europa.ec.eudi.pid.1"
RESIDENT_ID = "org.mooring.cn.resident-id.1"

COUNTRY = {MDL: "SE", PHOTO_ID: "FR", PID: "PT", RESIDENT_ID: "CN"}
"""Country of the specimen of each document type. The IACA of this country has to sign for the document."""


def issue(
    doc_type: str,
    data: dict[str, dict[str, Any]],
    device_public: bytes,
    signer: Identity,
    valid_from: date | None = None,
    valid_until: date | None = None,
    revocation: dict[str, Any] | None = None,
) -> bytes:
    """Return an encoded IssuerSigned structure, ready for a phone.

    `data` is {namespace: {element: value}}. `device_public` is the phone's public key for the document: an uncompressed
    point on P-256 or P-384. `signer` is the document signer, which signs ES256 with a P-256 key and ES384 with a P-384
    key. By default, the document is valid for a year from today. `revocation` becomes `status` of the
    MobileSecurityObject.
    """
    today = datetime.now(UTC).date()
    p384 = isinstance(signer.key.curve, ec.SECP384R1)
    algorithm = "ES384" if p384 else "ES256"
    issuer = MdocCborIssuer(
        private_key={
            "KTY": "EC2",
            "CURVE": "P_384" if p384 else "P_256",
            "ALG": algorithm,
            "D": signer.private,
            "KID": b"document-signer",
        },
        alg=algorithm,
    )
    size = len(device_public) // 2
    issued = issuer.new(
        data=copy.deepcopy(data),
        doctype=doc_type,
        validity={
            "issuance_date": (valid_from or today).isoformat(),
            "expiry_date": (valid_until or today + timedelta(days=365)).isoformat(),
        },
        devicekeyinfo={
            1: 2,
            -1: 1 if size == 32 else 2,
            -2: device_public[1 : 1 + size],
            -3: device_public[1 + size :],
        },
        x509_chain=[signer.der],
        revocation=revocation,
    )
    return cbor2.dumps(issued["documents"][0]["issuerSigned"])


def specimen(doc_type: str, **changes: Any) -> dict[str, dict[str, Any]]:
    """Data of an invented person in a document of `doc_type`. `changes` replaces single elements, by name.

    Raises KeyError for a document type without a specimen, or for an element that the specimen does not have.
    """
    data = copy.deepcopy(_SPECIMENS[doc_type])
    for name, value in changes.items():
        home = next((elements for elements in data.values() if name in elements), None)
        if home is None:
            raise KeyError(name)
        home[name] = value
    return data


_PORTRAIT = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")

_SPECIMENS: dict[str, dict[str, dict[str, Any]]] = {
    MDL: {
        "org.iso.18013.5.1": {
            "family_name": "Lindqvist",
            "given_name": "Astrid",
            "birth_date": "1991-04-17",
            "sex": 2,
            "issue_date": "2024-05-02",
            "expiry_date": "2034-05-02",
            "issuing_country": "SE",
            "issuing_authority": "Transportstyrelsen TEST",
            "document_number": "SE910417T",
            "portrait": _PORTRAIT,
            "driving_privileges": [
                {"vehicle_category_code": "B", "issue_date": "2011-06-01", "expiry_date": "2034-05-02"}
            ],
            "un_distinguishing_sign": "S",
            "nationality": "SE",
            "resident_address": "Provgatan 7, Göteborg",
            "age_over_18": True,
        }
    },
    PHOTO_ID: {
        "org.iso.23220.1": {
            "family_name_unicode": "Moreau",
            "given_name_unicode": "Élodie",
            "birth_date": "1988-11-30",
            "sex": 2,
            "issue_date": "2025-01-15",
            "expiry_date": "2035-01-15",
            "issuing_country": "FR",
            "issuing_authority_unicode": "Préfecture TEST",
            "document_number": "18TEST0042",
            "nationality": "FR",
            "portrait": _PORTRAIT,
            "age_over_18": True,
        },
        "org.iso.23220.photoid.1": {"person_id": "FR-88-1130-7", "travel_document_number": "18TEST0042"},
    },
    PID: {
        "eu.europa.ec.eudi.pid.1": {
            "family_name": "Ferreira",
            "given_name": "Tomás",
            "birth_date": "1979-02-08",
            "sex": 1,
            "nationality": "PT",
            "document_number": "PT7902087",
            "personal_administrative_number": "PT-7902087-TEST",
            "issuing_country": "PT",
            "issuing_authority": "IRN TEST",
            "issuance_date": "2025-03-01",
            "expiry_date": "2030-03-01",
            "resident_address": "Rua do Ensaio 3, Porto",
        }
    },
    RESIDENT_ID: {
        "org.mooring.cn.resident-id.1": {
            "name": "林小满",
            "sex": 2,
            "ethnicity": "汉",
            "birth_date": "1993-05-21",
            "resident_address": "示例省示例市测试路一号",
            # Region 990101 does not exist, so nobody has this number. The number's check character is right.
            "document_number": "990101199305210028",
            "issuing_authority": "示例市公安局 TEST",
            "issue_date": "2022-08-01",
            "expiry_date": "2042-08-01",
            "portrait": _PORTRAIT,
        }
    },
}
