"""The province renews an edge's certificate for that edge alone, and cuts a revoked edge off at once."""

import base64
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge_agent.broker_key import FileKey
from protocol import crypto_cpython as crypto
from protocol import uplink
from protocol.errors import ConfigError
from sim.province.__main__ import main
from sim.province.certificates import ACCESS, AUTHORITY, CERTIFICATE_SECONDS, REVOKED
from tests.support.certified_edge import CertifiedEdge

NOW = 1_795_000_000
_BEGIN, _END = (b"-----%s CERTIFICATE REQUEST-----\n" % word for word in (b"BEGIN", b"END"))
DUE = NOW + CERTIFICATE_SECONDS * 2 // 3 + 3600


@pytest.fixture
def edge(tmp_path: Path) -> CertifiedEdge:
    made = CertifiedEdge(tmp_path, NOW)
    made.now = DUE
    return made


def request(
    edge: CertifiedEdge, name: str = "pi-1", signed_as: str = "pi-1", signer: FileKey | None = None
) -> uplink.CertificateRequest:
    """Return a request for a fresh key under `name`, signed by the present key or by `signer`."""
    present = x509.load_pem_x509_certificate(Path(edge.identity.proven.cert).read_bytes())
    replaces = sha256(present.public_bytes(Encoding.DER)).digest()
    der = FileKey.make().request(name).public_bytes(Encoding.DER)
    key = signer or FileKey.load(Path(edge.identity.proven.key).read_bytes())
    return uplink.CertificateRequest(der, replaces, key.sign(uplink.request_text(signed_as, der, replaces)))


def test_the_next_certificate_is_for_the_new_key_and_the_same_request_gets_it_again(edge: CertifiedEdge) -> None:
    asked = edge.asked()
    given, again = edge.answered(asked), edge.answered(edge.asked())
    assert given is not None and again is not None and given.certificate == again.certificate
    certificate = x509.load_der_x509_certificate(given.certificate)
    assert certificate.public_key() == x509.load_der_x509_csr(asked.request).public_key()
    assert certificate.not_valid_after_utc.timestamp() == DUE + CERTIFICATE_SECONDS


def test_a_request_by_a_wrong_key_or_in_another_name_gets_nothing(edge: CertifiedEdge) -> None:
    edge.province.admit_edge("pi-2")
    assert edge.answered(request(edge, signer=FileKey.make())) is None
    assert edge.answered(request(edge, name="pi-2")) is None, "the subject names another edge"
    assert edge.answered(request(edge, name="pi-2", signed_as="pi-2"), "pi-2") is None, "sent in another edge's name"
    assert edge.answered(request(edge), "pi-2") is None
    assert edge.answered(request(edge)) is not None


def test_a_request_that_is_sent_again_later_and_an_older_key_get_nothing(edge: CertifiedEdge) -> None:
    old = edge.asked()
    older_key = FileKey.load((edge.folder / "edge.key").read_bytes())
    edge.renewed()
    by_older_key = request(edge, signer=older_key)
    edge.now += CERTIFICATE_SECONDS * 2 / 3
    edge.renewed()
    assert edge.answered(old) is None and edge.answered(by_older_key) is None
    stolen = FileKey.make().request("pi-1").public_bytes(Encoding.DER)
    signed = older_key.sign(uplink.request_text("pi-1", stolen, old.replaces))
    assert edge.answered(uplink.CertificateRequest(stolen, old.replaces, signed)) is None


def test_while_the_new_certificate_is_under_way_the_old_key_gets_no_third_one(edge: CertifiedEdge) -> None:
    assert edge.answered(edge.asked()) is not None
    assert edge.answered(request(edge)) is None


def test_a_certificate_that_has_ended_is_not_renewed(edge: CertifiedEdge) -> None:
    asked = edge.asked()
    edge.now = NOW + CERTIFICATE_SECONDS + 1
    assert edge.answered(asked) is None
    edge.now = NOW + CERTIFICATE_SECONDS
    assert edge.answered(asked) is not None


def test_a_revoked_edge_gets_no_certificate_no_pass_and_no_receipt_until_it_is_admitted_anew(
    edge: CertifiedEdge,
) -> None:
    province, link_key = edge.province, crypto.generate("P-256")[1]
    asked, wants = edge.asked(), uplink.PassRequest(link_key, 0).encode()
    province.revoke_edge("pi-1")
    handle = province.registry.handle
    batch = uplink.Batch(bytes(8), [b"anything"]).encode()
    assert edge.answered(asked) is None and handle("pi-1", wants) == [] and handle("pi-1", batch) == []
    assert province.store.tally()["messages of revoked edges"] == 3
    assert "records unreadable" not in province.store.tally()
    with pytest.raises(ConfigError, match=r"edge\.name"):
        edge.certificates.first((edge.folder / "edge.csr").read_bytes())
    province.admit_edge("pi-1")
    assert edge.answered(asked) is None, "its certificates stay revoked"
    _, again = edge.certificates.first((edge.folder / "edge.csr").read_bytes())
    (edge.folder / "edge.pem").write_bytes(again)
    edge.now += CERTIFICATE_SECONDS * 2 / 3
    assert edge.answered(edge.asked()) is not None


def test_only_an_admitted_edge_can_be_revoked(edge: CertifiedEdge) -> None:
    with pytest.raises(ConfigError, match=r"edge\.name"):
        edge.province.revoke_edge("pi-9")


def test_what_is_no_request_is_refused_with_a_reason(edge: CertifiedEdge) -> None:
    good = (edge.folder / "edge.csr").read_bytes()
    for bad in (b"", good[:-60], FileKey.make().request("No Edge").public_bytes(Encoding.PEM)):
        with pytest.raises(ConfigError, match=r"edge\.request"):
            edge.certificates.first(bad)
    with pytest.raises(ConfigError, match=r"edge\.name"):
        edge.certificates.first(FileKey.make().request("pi-9").public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    ("good", "unknown"),
    [("06082a8648ce3d030107", "06082a8648ce3d030109"), ("06072a8648ce3d0201", "06072a8648ce3d0209"),
     ("06082a8648ce3d040302", "06082a8648ce3d040309"), ("020100", "020101")],
    ids=["curve", "key", "signature", "version"],
)  # fmt: skip
def test_a_request_of_an_unknown_kind_is_refused_like_any_other(edge: CertifiedEdge, good: str, unknown: str) -> None:
    present, asked = FileKey.load((edge.folder / "edge.key").read_bytes()), edge.asked()
    der = asked.request.replace(bytes.fromhex(good), bytes.fromhex(unknown), 1)
    assert der != asked.request
    signature = present.sign(uplink.request_text("pi-1", der, asked.replaces))
    assert edge.answered(uplink.CertificateRequest(der, asked.replaces, signature)) is None
    pem = b"".join((_BEGIN, base64.encodebytes(der), _END))
    with pytest.raises(ConfigError, match=r"edge\.request"):
        edge.certificates.first(pem)


def test_a_replaced_machine_ends_the_certificates_of_the_one_before(edge: CertifiedEdge, tmp_path: Path) -> None:
    edge.renewed()
    edge.certificates.write_broker_files(tmp_path / "broker", "province.mooring")
    listed = x509.load_pem_x509_crl((tmp_path / "broker" / REVOKED).read_bytes())
    assert len(list(listed)) == 0
    edge.certificates.first(FileKey.make().request("pi-1").public_bytes(Encoding.PEM))
    edge.certificates.write_broker_files(tmp_path / "broker", "province.mooring")
    authority = x509.load_pem_x509_certificate((tmp_path / "broker" / AUTHORITY).read_bytes())
    listed = x509.load_pem_x509_crl((tmp_path / "broker" / REVOKED).read_bytes())
    assert len(list(listed)) == 2 and listed.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    assert "deny" not in (tmp_path / "broker" / ACCESS).read_text(encoding="utf-8"), "its name is still good"


def test_the_commands_certify_and_revoke_write_the_brokers_files_and_name_what_is_wrong(
    edge: CertifiedEdge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, broker = ["--data", str(edge.folder / "province")], ["--broker", str(tmp_path / "broker")]
    request = ["--request", str(edge.folder / "edge.csr")]
    assert main(["certify", *data, *request, "--cert", str(tmp_path / "new.pem"), *broker]) == 0
    x509.load_pem_x509_certificate((tmp_path / "new.pem").read_bytes())
    assert main(["revoke", *data, "--edge", "pi-1", *broker]) == 0
    assert "7 days" in capsys.readouterr().out
    assert "topic deny mooring/1/pi-1/#" in (tmp_path / "broker" / ACCESS).read_text(encoding="utf-8")
    for wrong, code in (
        (["revoke", *data, "--edge", "pi-1", *broker], "edge.name"),
        (["certify", *data, *request, "--cert", str(tmp_path / "new.pem"), *broker], "edge.name"),
        (["certify", *data, "--request", "/dev/zero", "--cert", str(tmp_path / "new.pem"), *broker], "edge.request"),
        (["certify", *data, "--request", "/nowhere", "--cert", str(tmp_path / "new.pem"), *broker], "edge.request"),
        (["revoke", "--data", str(tmp_path / "none"), "--edge", "pi-1", *broker], "province.data"),
    ):
        assert main(wrong) == 2
        assert capsys.readouterr().err.startswith(f"{code}: ")
