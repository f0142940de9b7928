"""The certificate for the broker is renewed before its end. At each moment, one pair on disk works."""

import base64
import re
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from edge_agent.broker_identity import CURRENT, NEXT, NEXT_KEY, BrokerIdentity
from edge_agent.broker_key import FileKey
from protocol import crypto_cpython as crypto
from protocol import uplink
from protocol.errors import MooringError, StorageError
from sim.province.certificates import CERTIFICATE_SECONDS
from tests.support.certified_edge import CertifiedEdge

NOW = 1_795_000_000
DUE = NOW + CERTIFICATE_SECONDS * 2 // 3 + 3600


@pytest.fixture
def edge(tmp_path: Path) -> CertifiedEdge:
    return CertifiedEdge(tmp_path, NOW)


def works(identity: BrokerIdentity) -> bytes:
    """Return the serial of the certificate for the next connection, after checking that its key belongs to it."""
    cert, key = (Path(path).read_bytes() for path in identity.pair)
    certificate, private = x509.load_pem_x509_certificate(cert), load_pem_private_key(key, None)
    assert certificate.public_key() == private.public_key()
    return certificate.serial_number.to_bytes(20, "big")


def test_nothing_is_asked_before_two_thirds_of_the_time_are_over(edge: CertifiedEdge) -> None:
    assert edge.identity.request() is None
    edge.now = DUE
    assert edge.identity.request() is not None


def test_after_each_step_a_crash_leaves_a_pair_that_works_and_the_renewal_goes_on(edge: CertifiedEdge) -> None:
    first, edge.now = works(edge.identity), DUE
    key_sent = x509.load_der_x509_csr(edge.asked().request).public_key()
    edge.identity = edge.restarted()
    assert works(edge.identity) == first
    request = edge.asked()
    assert x509.load_der_x509_csr(request.request).public_key() == key_sent, "the same key is used again"
    answer = edge.answered(request)
    edge.identity = edge.restarted()
    assert works(edge.identity) == first and edge.answered(edge.asked()) is not None, "the answer was lost"
    assert answer is not None and edge.identity.take(answer)
    edge.identity = edge.restarted()
    second = works(edge.identity)
    assert second != first and Path(edge.identity.proven.cert).name == "edge.pem"
    edge.identity.works(edge.identity.pair)
    edge.identity = edge.restarted()
    assert works(edge.identity) == second and Path(edge.identity.proven.cert).name == CURRENT
    edge.now += CERTIFICATE_SECONDS * 2 / 3
    edge.renewed()
    assert works(edge.identity) not in (first, second), "a renewed certificate is renewed as well"


def test_the_new_keys_can_be_read_by_their_owner_only(edge: CertifiedEdge) -> None:
    edge.now = DUE
    edge.renewed()
    for name in (NEXT_KEY, CURRENT):
        assert stat.S_IMODE((edge.folder / "state" / name).stat().st_mode) == 0o600


def test_a_certificate_that_the_broker_does_not_take_gives_way_and_is_tried_again(edge: CertifiedEdge) -> None:
    first, edge.now = works(edge.identity), DUE
    answer = edge.answered(edge.asked())
    assert answer is not None and edge.identity.take(answer)
    following = edge.identity.pair
    assert works(edge.identity) != first
    edge.identity.ended(following, worked=False)
    assert works(edge.identity) == first
    edge.identity.works(edge.identity.pair)
    assert not edge.identity.take(answer), "so the agent does not connect anew at each repetition"
    edge.identity.ended(edge.identity.pair, worked=True)
    assert edge.identity.pair == following


@pytest.mark.parametrize("name", [NEXT, NEXT_KEY, CURRENT])
@pytest.mark.parametrize("content", [b"", b"torn", None])
def test_a_damaged_file_is_passed_over(edge: CertifiedEdge, name: str, content: bytes | None) -> None:
    edge.now = DUE
    if name == CURRENT:
        edge.renewed()
    place = edge.folder / "state" / name
    place.write_bytes(FileKey.make().pem if content is None else content)
    edge.identity = edge.restarted()
    assert edge.identity.pair.cert == str(edge.folder / "edge.pem") and works(edge.identity)


@pytest.mark.parametrize(
    ("good", "unknown"),
    [("06082a8648ce3d030107", "06082a8648ce3d030109"), ("a003020102", "a003020105")],
    ids=["curve", "version"],
)
def test_a_file_of_an_unknown_kind_is_passed_over(edge: CertifiedEdge, good: str, unknown: str) -> None:
    edge.now = DUE
    edge.renewed()
    for name in (CURRENT, NEXT_KEY):
        place = edge.folder / "state" / name
        parts = re.findall("(-----BEGIN.*?-----\n)(.*?)(-----END.*?-----\n)", place.read_text("ascii"), re.DOTALL)
        changed = [base64.b64decode(each[1]).replace(bytes.fromhex(good), bytes.fromhex(unknown)) for each in parts]
        encoded = [base64.encodebytes(each).decode() for each in changed]
        place.write_text("".join(a + text + b for (a, _, b), text in zip(parts, encoded, strict=True)), "ascii")
    edge.identity = edge.restarted()
    assert edge.identity.pair.cert == str(edge.folder / "edge.pem") and edge.asked().request


def test_only_what_the_province_made_for_this_key_and_name_is_taken(edge: CertifiedEdge) -> None:
    edge.now = DUE
    good = edge.answered(edge.asked())
    assert good is not None
    other = FileKey.make()
    for_other_key = edge.certificates._sign("pi-1", other.request("pi-1"), b"")
    waiting = FileKey.load((edge.folder / "state" / NEXT_KEY).read_bytes())
    for_other_name = edge.certificates._sign("pi-2", waiting.request("pi-2"), b"")
    edge.now = NOW - 60
    too_short = edge.certificates._sign("pi-1", waiting.request("pi-1"), b"")
    edge.now = DUE
    forger = crypto.generate("P-256")[0]
    for der, signer, code in (
        (good.certificate, forger, "certificate.signature"),
        (for_other_key, None, "certificate.key"),
        (for_other_name, None, "certificate.name"),
        (too_short, None, "certificate.dates"),
        (b"no certificate", None, "certificate.form"),
    ):
        private = signer or edge.province.keys.signing_private
        signature = crypto.sign(private, uplink.certificate_text("pi-1", der))
        with pytest.raises(MooringError) as refused:
            edge.identity.take(uplink.Certificate(der, signature))
        assert refused.value.code == code
    said_for_another = crypto.sign(
        edge.province.keys.signing_private, uplink.certificate_text("pi-2", good.certificate)
    )
    with pytest.raises(MooringError, match=r"certificate\.signature"):
        edge.identity.take(uplink.Certificate(good.certificate, said_for_another))
    assert not (edge.folder / "state" / NEXT).exists() and edge.identity.take(good)


def test_a_new_certificate_put_there_by_a_person_is_used(edge: CertifiedEdge) -> None:
    edge.now = DUE
    edge.renewed()
    edge.now += 86400
    key = FileKey.make()
    request = key.request("pi-1").public_bytes(Encoding.PEM)
    (edge.folder / "edge.key").write_bytes(key.pem)
    (edge.folder / "edge.pem").write_bytes(edge.certificates.first(request)[1])
    assert edge.restarted().pair.cert == str(edge.folder / "edge.pem")


def test_a_folder_that_cannot_be_written_is_told_and_the_present_pair_stays(edge: CertifiedEdge) -> None:
    edge.now = DUE
    (edge.folder / "state" / f"{NEXT_KEY}.new").mkdir()
    with pytest.raises(StorageError, match=r"certificate\.not_stored"):
        edge.identity.request()
    assert works(edge.identity)
