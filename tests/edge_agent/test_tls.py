"""TLS: what run would stumble over is told by check-config, setting by setting."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from edge_agent import config
from protocol.errors import ConfigError
from sim import pki


def pem_key(key: ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an authority, certificate and key that fit, and much that does not."""
    signer, other = pki.authority("MQTT CA", "CN"), pki.authority("Other CA", "CN")
    certificate = signer.certificate.public_bytes(Encoding.PEM)
    contents = {
        "ca": certificate,
        "cert": certificate,
        "key": pem_key(signer.key),
        "other-key": pem_key(other.key),
        "locked-key": pem_key(signer.key, BestAvailableEncryption(b"a passphrase")),
        "empty": b"",
        "torn": certificate[:200],
        "junk": b"\0\xff junk" * 100,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def load(files: Path, ca: str, cert: str = "", key: str = "") -> config.Config:
    paths = {name: str(files / value) for name, value in (("CA", ca), ("CERT", cert), ("KEY", key)) if value}
    return config.load(None, {f"MOORING_EDGE_MQTT_{name}": path for name, path in paths.items()})


def test_files_that_fit_are_taken(files: Path) -> None:
    assert load(files, "ca").mqtt.ca == str(files / "ca")
    assert load(files, "ca", "cert", "key").mqtt.key == str(files / "key")


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (["missing"], "mqtt.ca: cannot read"),
        (["."], "mqtt.ca: cannot read"),
        (["empty"], "no PEM file of certificates"),
        (["torn"], "no PEM file of certificates"),
        (["junk"], "no PEM file of certificates"),
        (["key"], "no PEM file of certificates"),
        (["ca", "missing", "key"], "mqtt.cert: cannot read"),
        (["ca", "cert", "missing"], "mqtt.key: cannot read"),
        (["ca", "empty", "key"], "no certificate and its key"),
        (["ca", "cert", "junk"], "no certificate and its key"),
        (["ca", "cert", "other-key"], "no certificate and its key"),
        (["ca", "cert", "locked-key"], "mqtt.key is encrypted"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_files_that_could_never_serve_are_refused_with_the_configuration(
    files: Path, named: list[str], says: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(files, *named)
    assert raised.value.code == "config.file" and says in raised.value.message
