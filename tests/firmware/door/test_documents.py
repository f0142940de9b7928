"""Which documents the door takes. The door must have asked this phone for a document of that type in this session."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.trust import Issuer, TrustList
from sim import issuer, pki
from tests.support import tap
from tests.support.doorway import Doorway
from tests.support.placed_lock import why_refused

CLUB_CARD = "org.example.club-card"
"""A document type that an issuer in the trust list may issue, but that the profile does not ask for."""


@pytest.fixture
def doorway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorway:
    doorway = Doorway(tmp_path, monkeypatch)
    trusted = [Issuer(tap.iaca(issuer.MDL).der, [issuer.MDL, CLUB_CARD])]
    doorway.take("trust-list", TrustList(99, doorway.now, trusted).body())
    return doorway


@pytest.mark.parametrize("doc_type", [issuer.MDL, CLUB_CARD])
def test_a_document_of_a_type_that_was_not_asked_for_is_refused_even_if_its_issuer_is_trusted_for_it(
    doorway: Doorway, doc_type: str
) -> None:
    visitor = doorway.visitor()
    doorway.book(visitor)
    key = ec.generate_private_key(ec.SECP256R1())
    signer = pki.document_signer(tap.iaca(issuer.MDL))
    issued = issuer.issue(doc_type, visitor.person.document(), tap.point(key), signer)
    held = SimpleNamespace(doc_type=issuer.MDL, issuer_signed=issued, device_key=key)

    def pass_off(asked: Any) -> bool:
        assert [item.doc_type for item in asked] == [issuer.MDL], "the club card is not asked for"
        held.doc_type = doc_type
        return True

    doorway.tap(tap.phone(held, consent=pass_off))  # type: ignore[arg-type]  # a credential in all that the phone asks of it
    asked_for = doc_type == issuer.MDL
    assert doorway.opened() is asked_for
    assert why_refused() == (None if asked_for else "mdoc.doctype_not_accepted")
