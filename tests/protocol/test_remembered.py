"""The lock remembers good signatures of issuers. No attack gets further because of this memory."""

from datetime import datetime
from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, VerificationError
from protocol.mdoc import verifier
from protocol.mdoc.chain import TrustRoot
from protocol.mdoc.remembered import MAX_SIGNATURES, Recollection, RememberedSignatures
from tests.support.attacks import GOOD, REJECTED
from tests.support.attacks.building import DAY
from tests.support.credential import DS, IACA, Authority, Case, Credential, key, name, present, seconds
from tests.support.on_lock import run_on_lock


def verify(case: Case, memory: RememberedSignatures) -> tuple[list[verifier.VerifiedDocument], Recollection]:
    recollection = memory.recollect()
    documents = verifier.verify(
        crypto,
        case.device_response,
        case.session_transcript,
        [TrustRoot(certificate, doc_types) for certificate, doc_types in case.roots],
        case.now,
        case.e_reader_private,
        case.doc_types,
        issuers=recollection,
    )
    return documents, recollection


def remembering(*cases: Case) -> RememberedSignatures:
    """Return the memory of signatures after these presentations."""
    memory = RememberedSignatures(crypto)
    for case in cases:
        memory.keep(verify(case, memory)[1])
    return memory


def refusal(case: Case, memory: RememberedSignatures) -> str:
    with pytest.raises((FormatError, VerificationError)) as refused:
        verify(case, memory)
    return refused.value.code


def test_a_document_seen_before_costs_no_signature_of_an_issuer() -> None:
    memory = RememberedSignatures(crypto)
    _, first = verify(present(), memory)
    assert (first.computed, first.recalled) == (2, 0)  # The signatures of the DS certificate and of the MSO.
    memory.keep(first)
    documents, again = verify(present(), memory)
    assert (again.computed, again.recalled) == (0, 2)
    assert documents[0].elements == verify(present(), RememberedSignatures(crypto))[0][0].elements


@pytest.fixture(scope="module")
def warm() -> RememberedSignatures:
    """Return a memory that knows each document from which an attack starts."""
    return remembering(present(), *[build() for neighbour, build in GOOD.items() if "30 KB" not in neighbour][:15])


@pytest.mark.parametrize("attack", REJECTED)
def test_no_attack_is_helped_by_the_memory(attack: str, warm: RememberedSignatures) -> None:
    code, build = REJECTED[attack]
    assert refusal(build(), warm) == code


def test_another_device_key_than_the_remembered_documents_is_refused() -> None:
    memory = remembering(present())
    assert refusal(present(Credential(device_key=key("the thief's"))), memory) == "mdoc.device_signature"


def test_a_document_that_expired_since_is_refused() -> None:
    memory = remembering(present())
    assert refusal(at(DS.not_after + DAY), memory) in ("mdoc.chain_validity", "mdoc.expired")


def at(moment: datetime) -> Case:
    return present(now=(seconds(moment), seconds(moment)))


def test_a_root_that_was_taken_from_the_trust_list_since_is_trusted_no_more() -> None:
    memory = remembering(present())
    other = Authority(name("Another IACA"))
    assert refusal(present(roots=[(other.certificate(other), None)]), memory) == "mdoc.untrusted"


def test_a_root_of_the_same_name_and_another_key_does_not_inherit_what_was_good() -> None:
    memory = remembering(present())
    renewed = Authority(IACA.subject, key_name="the renewed key")
    assert refusal(present(roots=[(renewed.certificate(renewed), None)]), memory) == "mdoc.chain_signature"


def test_another_guests_document_is_verified_on_its_own() -> None:
    memory = remembering(present())
    other = present(Credential(change_mso=lambda mso: mso.update(status={"another": 1})))
    _, recollection = verify(other, memory)
    assert (recollection.computed, recollection.recalled) == (1, 1)  # Both documents share the DS certificate.


def test_what_was_refused_is_not_remembered() -> None:
    memory = RememberedSignatures(crypto)
    recollection = memory.recollect()
    assert not recollection.verify("P-256", crypto.generate("P-256")[1], "SHA-256", b"", bytes(64))
    assert recollection.good == []


def test_every_part_of_a_signature_is_part_of_its_name() -> None:
    private, public = crypto.generate("P-256")
    message = b"what the issuer signed"
    signature = crypto.sign(private, message)
    memory = RememberedSignatures(crypto)
    first = memory.recollect()
    assert first.verify("P-256", public, "SHA-256", message, signature)
    memory.keep(first)
    again = memory.recollect()
    assert again.verify("P-256", public, "SHA-256", message, signature) and again.recalled == 1
    for arguments in (
        ("P-384", public, "SHA-256", message, signature),
        ("P-256", crypto.generate("P-256")[1], "SHA-256", message, signature),
        ("P-256", public, "SHA-384", message, signature),
        ("P-256", public, "SHA-256", message + b"\x00", signature),
        ("P-256", public, "SHA-256", message[:-1], message[-1:] + signature),
        ("P-256", public, "SHA-256", message, signature[:-1] + bytes((signature[-1] ^ 1,))),
    ):
        assert not again.verify(*arguments)
    assert again.recalled == 1


def test_what_was_shown_is_remembered_until_it_is_all_forgotten() -> None:
    memory = RememberedSignatures(crypto)
    for _ in range(2):
        memory.keep(verify(present(), memory)[1])
    assert verify(present(), memory)[1].computed == 0
    memory.forget()
    assert verify(present(), memory)[1].computed == 2


def test_the_memory_is_bounded_and_the_oldest_go_first() -> None:
    memory = RememberedSignatures(crypto)
    names = [bytes([number]) * 16 for number in range(1, MAX_SIGNATURES + 2)]
    for shown in [*names[:-1], names[0], names[-1]]:
        recollection = memory.recollect()
        recollection.good = [shown]
        memory.keep(recollection)
    known = memory.recollect()._known
    assert [each in known for each in names] == [each != names[1] for each in names], "the one not seen for longest"
    always = Recollection(AlwaysGood(), [])  # type: ignore[arg-type]  # Recollection calls only `verify`
    for number in range(100):
        always.verify("P-256", b"", "SHA-256", bytes([number]), b"")
    assert len(always.good) == MAX_SIGNATURES


class AlwaysGood:
    def verify(self, *_: Any) -> bool:
        return True


ON_LOCK = """
from firmware import crypto
from protocol.errors import MooringError
from protocol.mdoc import verifier
from protocol.mdoc.chain import TrustRoot
from protocol.mdoc.remembered import RememberedSignatures
memory = RememberedSignatures(crypto)
def judge(response, transcript, root, now):
    recollection = memory.recollect()
    try:
        verifier.verify(crypto, bytes.fromhex(response), bytes.fromhex(transcript), [bytes.fromhex(root)], now,
                        issuers=recollection)
        memory.keep(recollection)
        return [recollection.computed, recollection.recalled]
    except MooringError as error:
        return error.code
answer([judge(*case) for case in given])
"""


def test_the_memory_takes_one_kilobyte_whatever_it_holds() -> None:
    source = """
import gc
from protocol.mdoc.remembered import MAX_SIGNATURES, RememberedSignatures
memory = RememberedSignatures(None)
def used():
    gc.collect()
    return gc.mem_alloc()
recollection = memory.recollect()
memory.keep(recollection)
before = used()
for number in range(MAX_SIGNATURES + 1):
    recollection.good = [bytes((number + 1,)) * 16]
    memory.keep(recollection)
recollection.good = []
answer([used() - before, len(memory._known)])
"""
    grown, size = run_on_lock(source)
    assert grown < 100 and size == 16 * MAX_SIGNATURES


def test_the_lock_remembers_and_judges_alike() -> None:
    cases = [present(), present(), REJECTED["a tampered value"][1](), at(DS.not_after + DAY)]
    given = [[c.device_response.hex(), c.session_transcript.hex(), c.roots[0][0].hex(), c.now] for c in cases]
    assert run_on_lock(ON_LOCK, given) == [[2, 0], [0, 2], "mdoc.digest", refusal(cases[3], remembering())]
