"""Makes what a new edge agent needs, and says whom to give what: the command `enroll`.

Both keys are made on this machine and never leave it: the key that locks see, and the key of the certificate for the
broker. The province admits the first by its public half. Whoever runs the broker signs a request for the second.
"""

import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from edge_agent import checks, files, status, tls
from edge_agent.answers import Answer
from edge_agent.broker_identity import BrokerIdentity, day
from edge_agent.broker_key import FileKey
from edge_agent.config import Config
from edge_agent.counted import counted
from edge_agent.credentials import Credentials
from protocol.command_line_cpython import DONE
from protocol.errors import ConfigError, FormatError, StorageError


def enroll(settings: Config) -> Answer:
    """Make the keys and the request that are still missing. Nothing that exists is replaced.

    Raises StorageError: `edge.user` if the files belong to another user, `link.key`, `edge.file`; ConfigError.
    """
    _check_user(settings.state_dir)
    credentials = _credentials(settings)
    request = _request(settings)
    own = len(credentials.locks)
    facts: dict[str, object] = {"ok": True, "name": settings.name, "key": credentials.public.hex(), "locks": own}
    facts |= {"request": None if request is None else str(request)}
    lines = ["1. To the province, give the name and the public key of this edge:"]
    lines += [f"     name  {settings.name}", f"     key   {credentials.public.hex()}"]
    lines += [
        f"   It is admitted, to {counted(own, 'lock')}." if own else "   It sends a pass as soon as it admits them."
    ]
    if request is not None:
        lines += [f"2. To whoever runs the broker, give the request {request}."]
        lines += [f"   Put the certificate that comes back into {settings.mqtt.cert}."]
    elif settings.mqtt.cert:
        _, end = tls.validity(BrokerIdentity(settings).proven.cert)
        lines += [f"2. The certificate for the broker is there, until {day(end)}. It is renewed by itself."]
    else:
        lines += ["2. No certificate is named. If the broker wants one, set mqtt.ca, mqtt.cert and mqtt.key first."]
    return Answer(DONE, facts, lines)


def _check_user(state_dir: Path) -> None:
    if state_dir.exists() and state_dir.stat().st_uid != os.geteuid():
        user = checks.owner(state_dir)
        raise StorageError(
            "edge.user", f"{state_dir} belongs to {user}, who could not read new files. Use: sudo -u {user} …."
        )


def _credentials(settings: Config) -> Credentials:
    """Return key and passes. The key is made if it is missing."""
    if status.is_running(settings.state_dir):
        return Credentials(settings.state_dir, settings.province_public_key)  # the agent has made the key
    with status.only_one(settings.state_dir):
        return Credentials(settings.state_dir, settings.province_public_key)


def _request(settings: Config) -> Path | None:
    """Write a certificate request, if a certificate is named and not there yet. Return its path."""
    cert, key = Path(settings.mqtt.cert), Path(settings.mqtt.key)
    if not settings.mqtt.cert or cert.exists():
        return None
    if not key.exists():
        _write(key, FileKey.make().pem)
    try:
        request = FileKey.load(key.read_bytes()).request(settings.name)
    except OSError as error:
        raise ConfigError("config.file", f"mqtt.key: cannot read {key}: {error.strerror}. Move it aside.") from None
    except FormatError as error:
        raise ConfigError("config.file", f"mqtt.key: {key}: {error.message}. Move it aside.") from None
    path = cert.with_suffix(".csr")
    _write(path, request.public_bytes(Encoding.PEM))
    return path


def _write(path: Path, content: bytes) -> None:
    try:
        files.replace(path, content, durable=True)
    except OSError as error:
        raise StorageError("edge.file", f"cannot write {path}: {error.strerror}. Check the folder.") from None
