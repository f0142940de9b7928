"""Settings of the edge agent: a TOML file, environment overrides, and `default.toml` as the one list of keys.

`default.toml` is what `print-config` prints, what names the keys and their types, and what holds the defaults; this
module adds the limits. Unknown keys are refused with the nearest known one, so that a typing error cannot pass
silently for a default.
"""

import difflib
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent import tls
from protocol import crypto_cpython, uplink
from protocol.crypto import is_point
from protocol.errors import ConfigError

DEFAULT_PATH = Path("/etc/mooring-edge/mooring-edge.toml")
DEFAULT_TOML = Path(__file__).with_name("default.toml")
ENVIRONMENT_PREFIX = "MOORING_EDGE_"
ENVIRONMENT_CONFIG = ENVIRONMENT_PREFIX + "CONFIG"
"""Environment variable that names the file, as `--config` does."""

_RANGES = {
    "mqtt.port": (1, 65535),
    "mqtt.keepalive_seconds": (5, 3600),
    "uplink.batch_bytes": (1024, 65536),
    "uplink.batch_ms": (0, 5000),
    "uplink.window": (1, 64),
    "uplink.receipt_timeout_seconds": (1, 3600),
    "outbox.max_mb": (1, 1 << 20),
    "outbox.disk_reserve_mb": (0, 1 << 20),
    "locks.scan_seconds": (1, 120),
    "locks.scan_every_seconds": (1, 86400),
    "locks.credit": (1, 64),
}
_LEVELS = ("debug", "info", "warning", "error")
_ADDRESS = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}")


@dataclass(frozen=True)
class Mqtt:
    """How to reach the broker. Paths are empty when not used; TLS is on when `ca` is set."""

    host: str
    port: int
    keepalive_seconds: int
    ca: str
    cert: str
    key: str


@dataclass(frozen=True)
class Uplink:
    """Batches: bytes, milliseconds, number under way, seconds to wait for a receipt."""

    batch_bytes: int
    batch_ms: int
    window: int
    receipt_timeout_seconds: int


@dataclass(frozen=True)
class OutboxLimits:
    """Megabytes (1 MB = 1,000,000 bytes) of records held at most, and of free disk left alone."""

    max_mb: int
    disk_reserve_mb: int


@dataclass(frozen=True)
class Locks:
    """Which locks: addresses, or discovery when there are none; `credit` as in `protocol.link`."""

    addresses: tuple[str, ...]
    scan_seconds: int
    scan_every_seconds: int
    credit: int


@dataclass(frozen=True)
class LogSettings:
    """`level` as in `logging`, lower case; `json` for one JSON object a line."""

    level: str
    json: bool


@dataclass(frozen=True)
class Config:
    """All settings, checked. `source` is the file they came from, None for defaults and environment only."""

    source: Path | None
    name: str
    state_dir: Path
    province_public_key: bytes | None  # None only in an experiment without it
    mqtt: Mqtt
    uplink: Uplink
    outbox: OutboxLimits
    locks: Locks
    log: LogSettings

    @property
    def outbox_path(self) -> Path:
        """The outbox database."""
        return self.state_dir / "outbox.sqlite3"


def default_text() -> str:
    """The annotated default file."""
    return DEFAULT_TOML.read_text(encoding="utf-8")


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Settings from `path`, else from the file that MOORING_EDGE_CONFIG names, else from /etc if it exists there.

    What can never work is refused here, for every command alike. Raises ConfigError: `config.missing`,
    `config.unreadable`, `config.syntax`, `config.unknown_key`, `config.type`, `config.value`, `config.file` for a file
    that a setting names.
    """
    named = path or (Path(environment[ENVIRONMENT_CONFIG]) if environment.get(ENVIRONMENT_CONFIG) else None)
    content = _read(named or DEFAULT_PATH)
    if content is None and named:
        raise ConfigError(
            "config.missing", f"{named} does not exist; make one with: python -m edge_agent print-config > {named}"
        )
    source = named or (None if content is None else DEFAULT_PATH)
    values = dict(_flatten(tomllib.loads(default_text())))
    known = dict(values)
    for key, value in (content or {}).items():
        if value != {} or not _is_section(key, known):
            values[key] = _checked(key, value, known, f"in {source}")
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable != ENVIRONMENT_CONFIG:
            key = _key_of(variable, known)
            values[key] = _checked(key, _from_text(text, known[key], variable), known, f"in {variable}")
    return _build(values, source)


def _read(path: Path) -> dict[str, Any] | None:
    """What the file sets, by dotted key; None if there is no such file."""
    try:
        return dict(_flatten(tomllib.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise ConfigError("config.unreadable", f"{path} is a directory; name the file in it") from None
    except OSError as error:
        raise ConfigError("config.unreadable", f"cannot read {path}: {error.strerror}; check its permissions") from None
    except UnicodeDecodeError:
        raise ConfigError("config.syntax", f"{path} is not UTF-8 text") from None
    except ValueError as error:  # tomllib's own, or int's for a number of thousands of digits
        raise ConfigError("config.syntax", f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError("config.syntax", f"{path} is nested too deeply") from None


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_section(key: str, known: Mapping[str, Any]) -> bool:
    return any(name.startswith(key + ".") for name in known)


def _nearest(wrong: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(wrong, known, 1, 0.5)
    # A key in the wrong section is the other usual mistake.
    near = near or [key for key in known if key.rpartition(".")[2] == wrong.rpartition(".")[2]]
    return f"did you mean {near[0]}?" if near else "see print-config for the known ones"


def _key_of(variable: str, known: Mapping[str, Any]) -> str:
    variables = {ENVIRONMENT_PREFIX + key.upper().replace(".", "_"): key for key in known}
    if variable not in variables:
        raise ConfigError("config.unknown_key", f"no setting answers to {variable}; {_nearest(variable, variables)}")
    return variables[variable]


def _from_text(text: str, default: object, variable: str) -> object:
    """An environment variable in the type of the default; a list is separated by commas."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise ConfigError("config.type", f"{variable} must be true or false")
        return text.lower() in ("true", "1")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError("config.type", f"{variable} must be a whole number") from None
    if isinstance(default, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(key: str, value: object, known: Mapping[str, Any], where: str) -> object:
    if _is_section(key, known):
        raise ConfigError(
            "config.type", f"{key} {where} is a section: write [{key}] on a line of its own, then its keys"
        )
    if key not in known:
        raise ConfigError("config.unknown_key", f"{key} {where} is not a setting; {_nearest(key, known)}")
    expected = known[key]
    # bool is an int to Python, and not to whoever wrote the file.
    if type(value) is not type(expected) or (isinstance(value, list) and not all(isinstance(v, str) for v in value)):
        names = {str: "text in quotes", int: "a whole number", bool: "true or false", list: "a list of texts"}
        raise ConfigError("config.type", f"{key} {where} must be {names[type(expected)]}")
    if key in _RANGES and isinstance(value, int) and not _RANGES[key][0] <= value <= _RANGES[key][1]:
        raise ConfigError("config.value", f"{key} {where} must be {_RANGES[key][0]} to {_RANGES[key][1]}")
    texts = value if isinstance(value, list) else [value]
    if not all(text.isprintable() for text in texts if isinstance(text, str)):
        raise ConfigError("config.value", f"{key} {where} holds a character that cannot be printed")
    return value


def _build(values: dict[str, Any], source: Path | None) -> Config:
    if not uplink.is_edge_name(values["name"]):
        raise ConfigError("config.value", "name must be 1 to 32 of a-z, 0-9 and hyphen")
    if not _is_host(values["mqtt.host"]):
        raise ConfigError("config.value", "mqtt.host must be the broker's name or address alone; the port is mqtt.port")
    if values["log.level"] not in _LEVELS:
        raise ConfigError("config.value", f"log.level must be one of {', '.join(_LEVELS)}")
    _check_directory(values["state_dir"])
    _check_tls(values)

    def section(name: str) -> dict[str, Any]:
        return {key.partition(".")[2]: value for key, value in values.items() if key.startswith(name + ".")}

    loaded = Config(
        source=source,
        name=values["name"],
        state_dir=Path(values["state_dir"]),
        province_public_key=_point(values["province_public_key"]),
        mqtt=Mqtt(**section("mqtt")),
        uplink=Uplink(**section("uplink")),
        outbox=OutboxLimits(**section("outbox")),
        locks=Locks(**{**section("locks"), "addresses": _addresses(values["locks.addresses"])}),
        log=LogSettings(**section("log")),
    )
    _check_key(loaded.province_public_key, values["experiment_without_key"])
    return loaded


def _check_key(public: bytes | None, experiment: bool) -> None:
    if public is None and not experiment:
        raise ConfigError(
            "config.value",
            "province_public_key is empty: set it to the key that your province gives out, 130 hex digits. "
            "experiment_without_key = true does without, for experiments: whoever reaches the broker is believed then",
        )
    if public is not None and experiment:
        raise ConfigError(
            "config.value", "experiment_without_key is true and province_public_key is set: take one of them out"
        )


def _is_host(text: str) -> bool:
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    # One colon is a port; an address of IPv6 has more.
    return bool(text) and not set(text) & set(" /@") and text.count(":") != 1


def _check_tls(values: Mapping[str, Any]) -> None:
    if bool(values["mqtt.cert"]) != bool(values["mqtt.key"]):
        raise ConfigError("config.value", "mqtt.cert and mqtt.key belong together; set both or none")
    if values["mqtt.cert"] and not values["mqtt.ca"]:
        raise ConfigError("config.value", "mqtt.cert needs mqtt.ca: without it the connection is not TLS")
    if values["mqtt.ca"]:
        tls.context(values["mqtt.ca"], values["mqtt.cert"], values["mqtt.key"])


def _check_directory(name: str) -> None:
    """Could `name` be made, if it is not there? Whether the service may write to it shows only when it runs."""
    if not name:
        raise ConfigError("config.value", "state_dir is empty; name a directory")
    for place in (Path(name), *Path(name).parents):
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            return
        except OSError as error:
            raise ConfigError("config.value", f"state_dir cannot be {name}: {error.strerror}") from None
        if not stat.S_ISDIR(mode):
            raise ConfigError("config.value", f"state_dir cannot be {name}: {place} is a file and not a directory")
        return


def _addresses(named: list[str]) -> tuple[str, ...]:
    addresses = tuple(address.upper() for address in named)
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise ConfigError(
                "config.value", f"locks.addresses: {address!r} is no Bluetooth address such as AA:BB:CC:DD:EE:01"
            )
        if addresses.count(address) > 1:
            raise ConfigError("config.value", f"locks.addresses names {address} twice")
    return addresses


def _point(text: str) -> bytes | None:
    if not text:
        return None
    try:
        point = bytes.fromhex(text)
    except ValueError:
        point = b""
    if len(point) != 65 or point[0] != 4:
        raise ConfigError("config.value", "province_public_key must be 130 hex digits that start with 04")
    if not is_point(crypto_cpython, "P-256", point):
        raise ConfigError(
            "config.value", "province_public_key is no point of P-256, so no receipt would be good: copy it anew"
        )
    return point
