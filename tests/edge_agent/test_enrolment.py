"""enroll makes the keys of an edge agent on its own machine, and says whom to give what."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from edge_agent import config
from edge_agent.credentials import Credentials
from edge_agent.enrolment import enroll
from protocol.errors import ConfigError, StorageError
from sim import pki
from tests.support.signing_lock import PROVINCE_PUBLIC


def settings(folder: Path, *, with_tls: bool = True) -> config.Config:
    environment = {"NAME": "pi-1", "STATE_DIR": str(folder / "state"), "PROVINCE_PUBLIC_KEY": PROVINCE_PUBLIC.hex()}
    if with_tls:
        environment |= {f"MQTT_{part.upper()}": str(folder / f"edge.{part}") for part in ("ca", "cert", "key")}
    variables = {f"MOORING_EDGE_{name}": value for name, value in environment.items()}
    return config.load(None, variables, with_files=False)


def test_both_keys_are_made_here_and_the_request_fits_the_key(tmp_path: Path) -> None:
    named = settings(tmp_path)
    answer = enroll(named)
    key = load_pem_private_key((tmp_path / "edge.key").read_bytes(), None)
    request = x509.load_pem_x509_csr((tmp_path / "edge.csr").read_bytes())
    assert request.is_signature_valid and request.public_key() == key.public_key()
    assert request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "pi-1"
    assert stat.S_IMODE((tmp_path / "edge.key").stat().st_mode) == 0o600
    public = Credentials(named.state_dir, PROVINCE_PUBLIC).public.hex()
    assert answer.facts["key"] == public and f"     key   {public}" in answer.lines
    assert str(tmp_path / "edge.csr") in "\n".join(answer.lines)


def test_a_second_time_nothing_is_replaced_and_a_certificate_ends_the_request(tmp_path: Path) -> None:
    named = settings(tmp_path)
    first = enroll(named)
    key = (tmp_path / "edge.key").read_bytes()
    assert enroll(named).facts == first.facts and (tmp_path / "edge.key").read_bytes() == key
    request = x509.load_pem_x509_csr((tmp_path / "edge.csr").read_bytes())
    authority, now = pki.authority("MQTT CA"), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(request.subject).issuer_name(authority.certificate.subject)
    made = made.public_key(request.public_key()).serial_number(1)
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=30))
    certificate = made.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "edge.cert").write_bytes(certificate)
    (tmp_path / "edge.ca").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    done = enroll(named)
    assert done.facts["request"] is None and "is there, until" in done.lines[-1]


def test_without_tls_only_the_key_for_locks_is_made(tmp_path: Path) -> None:
    answer = enroll(settings(tmp_path, with_tls=False))
    assert [place.name for place in tmp_path.iterdir()] == ["state"]
    assert answer.facts["request"] is None and "No certificate is named" in answer.lines[-1]


def test_a_key_file_that_is_no_key_and_a_folder_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "edge.key").write_bytes(b"no key")
    with pytest.raises(ConfigError, match=r"config\.file"):
        enroll(settings(tmp_path))
    (tmp_path / "edge.key").unlink()
    (tmp_path / "edge.key.new").mkdir()
    with pytest.raises(StorageError, match=r"edge\.file"):
        enroll(settings(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_whoever_is_not_the_user_of_the_agent_is_told_as_whom_to_run_it(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, -1)
    with pytest.raises(StorageError) as refused:
        enroll(settings(tmp_path))
    assert refused.value.code == "edge.user" and "sudo -u" in refused.value.message
    assert list((tmp_path / "state").iterdir()) == []
