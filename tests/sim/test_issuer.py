"""Documents from pymdoccbor, checked with code of our own."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sim import issuer, pki
from tests.support import tap


def issued(signer: pki.Identity, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(IssuerSigned, MobileSecurityObject) of a PID, decoded."""
    device = tap.point(ec.generate_private_key(ec.SECP256R1()))
    decoded = cbor2.loads(issuer.issue(issuer.PID, issuer.specimen(issuer.PID), device, signer, **settings))
    return decoded, cbor2.loads(cbor2.loads(decoded["issuerAuth"][2]).value)


@pytest.mark.parametrize(("curve", "algorithm"), [(ec.SECP256R1(), -7), (ec.SECP384R1(), -35)])
def test_a_credential_is_signed_by_the_document_signer_alone_in_its_x5chain(
    curve: ec.EllipticCurve, algorithm: int
) -> None:
    iaca = pki.authority("IACA", "PT", curve=curve)
    signer = pki.document_signer(iaca, curve=curve)
    protected, unprotected, payload, signature = issued(signer)[0]["issuerAuth"]
    assert cbor2.loads(protected) == {1: algorithm} and unprotected == {33: signer.der}
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    hash_algorithm = hashes.SHA384() if algorithm == -35 else hashes.SHA256()
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    signer.key.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hash_algorithm))
    x509.load_der_x509_certificate(signer.der).verify_directly_issued_by(iaca.certificate)


def test_validity_is_as_asked_for_to_the_end_of_its_last_day() -> None:
    signer = pki.document_signer(pki.authority("IACA", "PT"))
    future = datetime.now(UTC).date() + timedelta(days=3)
    info = issued(signer, valid_from=future, valid_until=date(2040, 1, 2))[1]["validityInfo"]
    assert info["validFrom"].date() == future
    assert info["validUntil"] == datetime(2040, 1, 2, 23, 59, 59, tzinfo=UTC)


def test_a_credential_can_be_had_that_expired_yesterday() -> None:
    signer = pki.document_signer(pki.authority("IACA", "PT"))
    info = issued(signer, valid_until=datetime.now(UTC).date() - timedelta(days=1))[1]["validityInfo"]
    assert info["validUntil"] < datetime.now(UTC)


def test_revocation_is_told_in_the_mobile_security_object() -> None:
    signer = pki.document_signer(pki.authority("IACA", "PT"))
    status = {"status_list": {"idx": 7, "uri": "https://issuer.example/status"}}
    assert issued(signer, revocation=status)[1]["status"] == status


def test_the_callers_data_is_left_as_it_was() -> None:
    data = issuer.specimen(issuer.MDL)
    device = tap.point(ec.generate_private_key(ec.SECP256R1()))
    issuer.issue(issuer.MDL, data, device, pki.document_signer(tap.iaca(issuer.MDL)))
    assert data == issuer.specimen(issuer.MDL)


def test_a_specimen_takes_changes_to_what_it_has_and_refuses_others() -> None:
    assert issuer.specimen(issuer.PID, sex=2)[issuer.PID]["sex"] == 2
    with pytest.raises(KeyError):
        issuer.specimen(issuer.PID, shoe_size=43)


def test_certificates_carry_what_annex_b_asks_of_their_role() -> None:
    root = pki.authority("IACA", "CN", province="示例省")
    signer = pki.document_signer(root).certificate
    assert root.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    usage = signer.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
    assert list(signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [pki.MDL_DOCUMENT_SIGNER]
    assert [attribute.value for attribute in signer.subject] == ["CN", "示例省", "TEST document signer"]
