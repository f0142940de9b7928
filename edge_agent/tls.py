"""TLS towards the broker, from the files that the configuration names."""

import ssl
from pathlib import Path

from protocol.errors import ConfigError


def context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """A client that believes the authorities in file `ca`, and shows `cert` with `key` unless they are empty.

    Made for each connection, so that a renewed certificate is in use from the next one on. Raises ConfigError
    `config.file`.
    """
    for setting, path in (("mqtt.ca", ca), ("mqtt.cert", cert), ("mqtt.key", key)):
        if path:
            try:
                Path(path).open("rb").close()
            except OSError as error:
                raise ConfigError("config.file", f"{setting}: cannot read {path}: {error.strerror}") from None
    try:
        made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("config.file", f"mqtt.ca: {ca} is no PEM file of certificates{_reason(error)}") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert:
        try:
            made.load_cert_chain(cert, key, password=_nobody_to_ask)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                "config.file",
                f"mqtt.cert, mqtt.key: {cert} and {key} are no certificate and its key in PEM{_reason(error)}",
            ) from None
    return made


def _nobody_to_ask() -> str:
    """Without this OpenSSL would ask the terminal for a passphrase, and a service for ever."""
    raise ConfigError("config.file", "mqtt.key is encrypted; the agent has nobody to ask, so give it a key that is not")


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return f" ({reason})" if reason else ""
