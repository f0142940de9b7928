"""TLS: check-config reports each setting that would make `run` fail."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
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
from edge_agent.broker import BrokerConnection
from edge_agent.broker_address import Address
from protocol import VERSION
from protocol.errors import ConfigError, TransportError
from sim import pki
from sim.broker import Broker
from tests.support.server_certificate import signed
from tests.support.signing_lock import PROVINCE_PUBLIC


def pem_key(key: ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an authority, a certificate and a key that belong together, and many unfit files."""
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
    key_of_province = {"MOORING_EDGE_PROVINCE_PUBLIC_KEY": PROVINCE_PUBLIC.hex()}
    return config.load(None, {f"MOORING_EDGE_MQTT_{name}": path for name, path in paths.items()} | key_of_province)


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


# --- a broker behind TLS ---------------------------------------------------------------------------------------------


def write(folder: Path, name: str, identity: pki.Identity) -> None:
    (folder / name).write_bytes(identity.certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}-key").write_bytes(pem_key(identity.key))


@contextlib.asynccontextmanager
async def front(folder: Path, port: int) -> AsyncIterator[int]:
    """Run a TLS server in front of the broker at `port`. Clients need a certificate. Yield the server's port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server", folder / "server-key")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, behind[1]), pass_on(behind[0], writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("ca", "cert", "server", "code"),
    [
        ("ca", "client", "127.0.0.1", None),
        ("ca", "", "127.0.0.1", "broker.unreachable"),
        ("ca", "foreign", "127.0.0.1", "broker.unreachable"),
        ("other-ca", "client", "127.0.0.1", "broker.certificate"),
        ("ca", "client", "127.0.0.2", "broker.certificate"),
    ],
    ids=["good", "no certificate", "of a foreign authority", "an authority we do not believe", "of another address"],
)
def test_the_connection_stands_if_each_side_shows_a_good_certificate(
    tmp_path: Path, ca: str, cert: str, server: str, code: str | None
) -> None:
    authority, other = pki.authority("MQTT CA"), pki.authority("Other CA")
    for name, identity in {
        "ca": authority,
        "other-ca": other,
        "server": signed(authority, server),
        "client": signed(authority, "127.0.0.9"),
        "foreign": signed(other, "127.0.0.9"),
    }.items():
        write(tmp_path, name, identity)
    settings = load(tmp_path, ca, cert, cert and f"{cert}-key").mqtt

    async def story(broker_port: int) -> None:
        async with front(tmp_path, broker_port) as port:
            connection = BrokerConnection(
                settings, Address("127.0.0.1", port), "pi-1", VERSION, lambda _mid, _refusal: None
            )
            try:
                if code is None:
                    await connection.open()
                    assert connection.has_room and not connection.lost.is_set()
                else:
                    with pytest.raises(TransportError) as refused:
                        await connection.open()
                    assert refused.value.code == code
            finally:
                await connection.close()

    with Broker() as broker:
        asyncio.run(story(broker.port))
