"""Settings of the edge agent: a TOML file, environment variables that override it, and `default.toml`.

`default.toml` is the only list of keys, types and defaults; `print-config` prints it. This module adds the limits. An
unknown key is refused. Otherwise, a misspelt key would silently leave the default in force. The error message names the
nearest known key.
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
"""Environment variable that names the configuration file. The option `--config` names this file too."""

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
    """How to reach the broker. A path that is not used is empty. TLS is on if `ca` is set."""

    host: str
    port: int
    keepalive_seconds: int
    ca: str
    cert: str
    key: str


@dataclass(frozen=True)
class Uplink:
    """Batches: the size of a batch, how long records are gathered for it, how many batches may be under way, and how
    long to wait for a receipt.
    """

    batch_bytes: int
    batch_ms: int
    window: int
    receipt_timeout_seconds: int


@dataclass(frozen=True)
class OutboxLimits:
    """Maximum size of all records, and how much disk must stay free. Both sizes are in megabytes (1 MB = 1,000,000
    bytes).
    """

    max_mb: int
    disk_reserve_mb: int


@dataclass(frozen=True)
class Locks:
    """Locks to serve. If `addresses` is empty, the agent searches for locks. `protocol.link` explains `credit`."""

    addresses: tuple[str, ...]
    scan_seconds: int
    scan_every_seconds: int
    credit: int


@dataclass(frozen=True)
class LogSettings:
    """`level` is a level of `logging` in lower case. If `json` is true, each line is a JSON object."""

    level: str
    json: bool


@dataclass(frozen=True)
class Config:
    """All settings, checked. `source` is the file that the settings came from, or None if no file was read."""

    source: Path | None
    name: str
    state_dir: Path
    province_public_key: bytes | None  # this is None only in an experiment without the key
    mqtt: Mqtt
    uplink: Uplink
    outbox: OutboxLimits
    locks: Locks
    log: LogSettings

    @property
    def outbox_path(self) -> Path:
        """Path of the outbox's database."""
        return self.state_dir / "outbox.sqlite3"


def default_text() -> str:
    """Return the default file with its comments."""
    return DEFAULT_TOML.read_text(encoding="utf-8")


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the settings from `path`, else from the file that MOORING_EDGE_CONFIG names, else from DEFAULT_PATH.

    DEFAULT_PATH may be missing. Settings that can never work are refused here, for every command. Raises ConfigError:
    `config.missing` or `config.unreadable` for the file, `config.syntax` if it is not TOML, `config.unknown_key`,
    `config.type` or `config.value` for a setting, and `config.file` for a file that a setting names.
    """
    named = path or (Path(environment[ENVIRONMENT_CONFIG]) if environment.get(ENVIRONMENT_CONFIG) else None)
    content = _read(named or DEFAULT_PATH)
    if content is None and named:
        raise ConfigError(
            "config.missing", f"{named} does not exist. Make it: python -m edge_agent print-config > {named}."
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
    """Return the values that the file sets, by dotted key, or None if the file does not exist."""
    try:
        return dict(_flatten(tomllib.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise ConfigError("config.unreadable", f"{path} is a directory. Name the file in it.") from None
    except OSError as error:
        raise ConfigError(
            "config.unreadable", f"cannot read {path}: {error.strerror}. Check its permissions."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("config.syntax", f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except ValueError as error:  # this comes from tomllib, or from int() for a number with thousands of digits
        raise ConfigError("config.syntax", f"{path} is not TOML: {error}. Correct this place.") from None
    except RecursionError:
        raise ConfigError("config.syntax", f"{path} is nested too deeply. Compare it with print-config.") from None


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
    # People also write a correct key in the wrong section.
    near = near or [key for key in known if key.rpartition(".")[2] == wrong.rpartition(".")[2]]
    return f"Did you mean {near[0]}?" if near else "See print-config for the known ones."


def _key_of(variable: str, known: Mapping[str, Any]) -> str:
    variables = {ENVIRONMENT_PREFIX + key.upper().replace(".", "_"): key for key in known}
    if variable not in variables:
        raise ConfigError("config.unknown_key", f"{variable} names no setting. {_nearest(variable, variables)}")
    return variables[variable]


def _from_text(text: str, default: object, variable: str) -> object:
    """Convert an environment variable to the type of the default. Commas separate the items of a list."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise ConfigError("config.type", f"{variable} has the wrong value. Set it to true or false.")
        return text.lower() in ("true", "1")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError("config.type", f"{variable} has the wrong value. Set it to a whole number.") from None
    if isinstance(default, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(key: str, value: object, known: Mapping[str, Any], where: str) -> object:
    if _is_section(key, known):
        raise ConfigError(
            "config.type", f"{key} {where} is a section. Write [{key}] on a line of its own, then its keys."
        )
    if key not in known:
        raise ConfigError("config.unknown_key", f"{key} {where} is not a setting. {_nearest(key, known)}")
    expected = known[key]
    # In Python, a bool is also an int, but a person who writes `true` for a number has made a mistake.
    if type(value) is not type(expected) or (isinstance(value, list) and not all(isinstance(v, str) for v in value)):
        names = {str: "text in quotes", int: "a whole number", bool: "true or false", list: "a list of texts"}
        raise ConfigError("config.type", f"{key} {where} has the wrong type. Write {names[type(expected)]}.")
    if key in _RANGES and isinstance(value, int) and not _RANGES[key][0] <= value <= _RANGES[key][1]:
        least, most = _RANGES[key]
        raise ConfigError("config.value", f"{key} {where} is out of range. Choose {least} to {most}.")
    texts = value if isinstance(value, list) else [value]
    if not all(text.isprintable() for text in texts if isinstance(text, str)):
        raise ConfigError("config.value", f"{key} {where} has a character that cannot be printed. Remove it.")
    return value


def _build(values: dict[str, Any], source: Path | None) -> Config:
    if not uplink.is_edge_name(values["name"]):
        raise ConfigError("config.value", "name cannot be used in a topic. Choose 1 to 32 of a-z, 0-9 and hyphen.")
    if not _is_host(values["mqtt.host"]):
        reason = "mqtt.host is not a host. Write the broker's name or address alone; the port is mqtt.port."
        raise ConfigError("config.value", reason)
    if values["log.level"] not in _LEVELS:
        raise ConfigError("config.value", f"log.level is unknown. Choose one of {', '.join(_LEVELS)}.")
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
            "province_public_key is empty. Set it to the key that your province publishes, 130 hex digits. "
            "For an experiment without the key, set experiment_without_key = true. Then the agent believes "
            "anyone who reaches the broker.",
        )
    if public is not None and experiment:
        raise ConfigError(
            "config.value", "experiment_without_key is true and province_public_key is set. Remove one of them."
        )


def _is_host(text: str) -> bool:
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    # A text with one colon contains a port. An IPv6 address contains more than one colon.
    return bool(text) and not set(text) & set(" /@") and text.count(":") != 1


def _check_tls(values: Mapping[str, Any]) -> None:
    if bool(values["mqtt.cert"]) != bool(values["mqtt.key"]):
        raise ConfigError("config.value", "mqtt.cert and mqtt.key belong together. Set both or none.")
    if values["mqtt.cert"] and not values["mqtt.ca"]:
        raise ConfigError("config.value", "mqtt.cert needs mqtt.ca: without it there is no TLS. Set mqtt.ca.")
    if values["mqtt.ca"]:
        tls.context(values["mqtt.ca"], values["mqtt.cert"], values["mqtt.key"])


def _check_directory(name: str) -> None:
    """Refuse a directory that cannot be made. Only the running service finds out whether it may write there."""
    if not name:
        raise ConfigError("config.value", "state_dir is empty. Name a directory.")
    for place in (Path(name), *Path(name).parents):
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            return
        except OSError as error:
            raise ConfigError(
                "config.value", f"state_dir cannot be {name}: {error.strerror}. Choose another."
            ) from None
        if not stat.S_ISDIR(mode):
            raise ConfigError("config.value", f"state_dir cannot be {name}: {place} is a file. Choose another.")
        return


def _addresses(named: list[str]) -> tuple[str, ...]:
    addresses = tuple(address.upper() for address in named)
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise ConfigError(
                "config.value",
                f"locks.addresses: {address!r} is no Bluetooth address. Write one such as AA:BB:CC:DD:EE:01.",
            )
        if addresses.count(address) > 1:
            raise ConfigError("config.value", f"locks.addresses names {address} twice. Remove one.")
    return addresses


def _point(text: str) -> bytes | None:
    if not text:
        return None
    try:
        point = bytes.fromhex(text)
    except ValueError:
        point = b""
    if len(point) != 65 or point[0] != 4:
        raise ConfigError("config.value", "province_public_key is no key. Write 130 hex digits that start with 04.")
    if not is_point(crypto_cpython, "P-256", point):
        raise ConfigError(
            "config.value", "province_public_key is no point of P-256, so no receipt could be verified. Copy it again."
        )
    return point
