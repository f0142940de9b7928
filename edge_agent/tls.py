"""TLS to the broker, with the files that the configuration names."""

import ssl
from pathlib import Path

from cryptography import x509

from protocol.errors import ConfigError


def context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """Make a client's TLS context that trusts the authorities in the file `ca`.

    If `cert` is set, the context shows this certificate to the broker. The agent makes a context for each connection.
    So the next connection uses a renewed certificate. Raises ConfigError `config.file`.
    """
    for setting, path in (("mqtt.ca", ca), ("mqtt.cert", cert), ("mqtt.key", key)):
        if path:
            try:
                Path(path).open("rb").close()
            except OSError as error:
                reason = f"{setting}: cannot read {path}: {error.strerror}. Check the path and its permissions."
                raise ConfigError("config.file", reason) from None
    try:
        made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (OSError, ssl.SSLError) as error:
        reason = f"mqtt.ca: {ca} is no PEM file of certificates{_reason(error)}. Name the file of your authority."
        raise ConfigError("config.file", reason) from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert:
        try:
            made.load_cert_chain(cert, key, password=_nobody_to_ask)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                "config.file",
                f"mqtt.cert, mqtt.key: {cert} and {key} are no certificate and its key in PEM{_reason(error)}. "
                "Name two files that belong together.",
            ) from None
    return made


def validity(path: str) -> tuple[float, float]:
    """Return the time from which and the time until which all certificates in a PEM file are valid, in epoch seconds.

    Raises ConfigError `config.file`.
    """
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError("config.file", f"cannot read {path}: {error.strerror}. Check its permissions.") from None
    except (ValueError, x509.InvalidVersion):
        raise ConfigError("config.file", f"{path} is no PEM file of certificates. Name another file.") from None
    begins = [certificate.not_valid_before_utc.timestamp() for certificate in found]
    return max(begins), min(certificate.not_valid_after_utc.timestamp() for certificate in found)


def _nobody_to_ask() -> str:
    """Refuse an encrypted key. Otherwise OpenSSL would ask a person for a passphrase, and a service would hang."""
    raise ConfigError("config.file", "mqtt.key is encrypted, and a service cannot ask for a passphrase. Decrypt it.")


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return f" ({reason})" if reason else ""
