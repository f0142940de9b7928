"""Settings of the edge agent: a TOML file, environment variables that override it, and `default.toml`.

`default.toml` is the only list of keys, types and defaults; the command `config` prints it. This module adds limits. An
unknown key is refused. Otherwise, a misspelt key would silently leave the default in force. The error message names
the nearest known key. An error about a setting names the file, the line, the key and the value.
"""

import difflib
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent import broker_address, config_file, tls, typed
from edge_agent.broker_address import Address
from edge_agent.config_file import File, shown
from protocol import crypto_cpython, uplink
from protocol.crypto import is_point
from protocol.errors import ConfigError

DEFAULT_PATH = Path("/etc/mooring-edge/mooring-edge.toml")
DEFAULT_TOML = Path(__file__).with_name("default.toml")
ENVIRONMENT_PREFIX = "MOORING_EDGE_"
ENVIRONMENT_CONFIG = ENVIRONMENT_PREFIX + "CONFIG"
"""Environment variable that names the configuration file. The option `--config` names this file too."""
ENVIRONMENT_PASSWORD = ENVIRONMENT_PREFIX + "MQTT_PASSWORD"
"""Environment variable with the password for the broker. No key of the file holds a password, because people show their
file to others."""

LONGEST_PASSWORD = 65_535
"""Maximum number of characters of a password. MQTT 5 allows no more bytes (section 1.5.6)."""

_RANGES = {
    "mqtt.port": (1, 65535),
    "mqtt.keepalive_seconds": (5, 3600),
    "uplink.batch_bytes": (1024, 65536),
    "uplink.batch_ms": (0, 5000),
    "uplink.window": (1, 64),
    "uplink.receipt_timeout_seconds": (1, 3600),
    "outbox.max_mb": (1, 1 << 20),
    "outbox.disk_reserve_mb": (0, 1 << 20),
    "locks.connections": (3, 64),
    "locks.scan_seconds": (1, 120),
    "locks.scan_every_seconds": (1, 86400),
    "locks.credit": (1, 64),
    "monitor.port": (0, 65535),
}
_LEVELS = ("debug", "info", "warning", "error")
_ADDRESS = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}")


@dataclass(frozen=True)
class Mqtt:
    """How to reach the broker. A text that is not used is empty. TLS is on if `ca` is set. MQTT goes over WebSocket if
    `websocket_path` is set. `brokers` are tried in this order."""

    brokers: tuple[Address, ...]
    keepalive_seconds: int
    websocket_path: str
    username: str
    password: str = field(repr=False)
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
    """Locks to serve. If `addresses` is empty, the agent searches for locks. `connections` is the number of connections
    that the Bluetooth adapter holds at a time. `protocol.link` explains `credit`.
    """

    addresses: tuple[str, ...]
    connections: int
    scan_seconds: int
    scan_every_seconds: int
    credit: int


@dataclass(frozen=True)
class MonitorSettings:
    """Port of /metrics, /healthz and /readyz on the loopback address; 0 if they are off."""

    port: int


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
    monitor: MonitorSettings
    log: LogSettings

    @property
    def outbox_path(self) -> Path:
        """Path of the outbox's database."""
        return self.state_dir / "outbox.sqlite3"


def default_text() -> str:
    """Return the default file with its comments."""
    return DEFAULT_TOML.read_text(encoding="utf-8")


def load(path: Path | None, environment: Mapping[str, str], *, with_files: bool = True) -> Config:
    """Read the settings from `path`, else from the file that MOORING_EDGE_CONFIG names, else from DEFAULT_PATH.

    DEFAULT_PATH may be missing. Settings that can never work are refused here, for every command. Without `with_files`,
    the TLS files that a setting names need not exist yet. Raises ConfigError: `config.missing` or `config.unreadable`
    for the file, `config.syntax` if it is not TOML, `config.unknown_key`, `config.type` or `config.value` for a
    setting, and `config.file` for a file that a setting names.
    """
    named = path or (Path(environment[ENVIRONMENT_CONFIG]) if environment.get(ENVIRONMENT_CONFIG) else None)
    file = config_file.read(named or DEFAULT_PATH)
    if file is None and named:
        raise ConfigError("config.missing", f"{named} does not exist. Make it: {typed.command()} config > {named}.")
    settings = _Settings(dict(config_file.flatten(tomllib.loads(default_text()))))
    for key, value in (file.values if file else {}).items():
        if file and (value != {} or not settings.is_section(key)):
            settings.set(key, value, file)
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in (ENVIRONMENT_CONFIG, ENVIRONMENT_PASSWORD):
            key = _key_of(variable, settings.known)
            settings.set(key, _from_text(text, settings.known[key], variable), variable)
    loaded = _build(settings, file.path if file else None, environment)
    if with_files and loaded.mqtt.ca:
        tls.context(loaded.mqtt.ca, loaded.mqtt.cert, loaded.mqtt.key)
    return loaded


class _Settings:
    """Values by dotted key, and where each was set. `known` has the defaults of all keys."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = known
        self._values = dict(known)
        self._sources: dict[str, File | str] = {}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of one section, by the last part of their keys."""
        return {key.partition(".")[2]: value for key, value in self._values.items() if key.startswith(name + ".")}

    def is_section(self, key: str) -> bool:
        """Return True if `key` is a section of the file."""
        return any(name.startswith(key + ".") for name in self.known)

    def set(self, key: str, value: object, source: File | str) -> None:
        """Take a value from a file, or from the environment variable that `source` names. Raises ConfigError."""
        self._sources[key] = source
        self._values[key] = value
        self._check(key, value)

    def says(self, key: str) -> str:
        """Return the key, its value and its place, for an error message: `mqtt.port = 0 (edge.toml, line 3)`."""
        source = self._sources.get(key)
        if source is None:
            return f"{key} = {shown(self._values[key])} (the default)"
        place = source if isinstance(source, str) else source.place(key)
        return f"{key} = {shown(self._values[key])} ({place})"

    def _check(self, key: str, value: object) -> None:
        if self.is_section(key):
            raise ConfigError(
                "config.type",
                f"{self.says(key)} is a section. Write [{key}] on a line of its own, then its keys.",
            )
        if key not in self.known:
            raise ConfigError("config.unknown_key", f"{self.says(key)} is not a setting. {_nearest(key, self.known)}")
        expected = self.known[key]
        # In Python, a bool is also an int, but a person who writes `true` for a number has made a mistake.
        if type(value) is not type(expected) or (
            isinstance(value, list) and not all(isinstance(v, str) for v in value)
        ):
            names = {str: "text in quotes", int: "a whole number", bool: "true or false", list: "a list of texts"}
            raise ConfigError("config.type", f"{self.says(key)} has the wrong type. Write {names[type(expected)]}.")
        if key in _RANGES and isinstance(value, int) and not _RANGES[key][0] <= value <= _RANGES[key][1]:
            least, most = _RANGES[key]
            raise ConfigError("config.value", f"{self.says(key)} is out of range. Choose {least} to {most}.")
        texts = value if isinstance(value, list) else [value]
        if not all(text.isprintable() for text in texts if isinstance(text, str)):
            raise ConfigError("config.value", f"{self.says(key)} has a character that cannot be printed. Remove it.")


def _nearest(wrong: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(wrong, known, 1, 0.5)
    # People also write a correct key in the wrong section.
    near = near or [key for key in known if key.rpartition(".")[2] == wrong.rpartition(".")[2]]
    return f"Did you mean {near[0]}?" if near else f"See `{typed.command()} config` for the known ones."


def _key_of(variable: str, known: Mapping[str, Any]) -> str:
    variables = {ENVIRONMENT_PREFIX + key.upper().replace(".", "_"): key for key in known}
    if variable not in variables:
        raise ConfigError("config.unknown_key", f"{variable} names no setting. {_nearest(variable, variables)}")
    return variables[variable]


def _from_text(text: str, default: object, variable: str) -> object:
    """Convert an environment variable to the type of the default. Commas separate the items of a list."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise ConfigError(
                "config.type", f"{variable} = {shown(text)} has the wrong value. Set it to true or false."
            )
        return text.lower() in ("true", "1")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            reason = f"{variable} = {shown(text)} has the wrong value. Set it to a whole number."
            raise ConfigError("config.type", reason) from None
    if isinstance(default, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _build(settings: _Settings, source: Path | None, environment: Mapping[str, str]) -> Config:
    if not uplink.is_edge_name(settings["name"]):
        raise ConfigError(
            "config.value", f"{settings.says('name')} cannot be used in a topic. Choose 1 to 32 of a-z, 0-9 and hyphen."
        )
    if settings["log.level"] not in _LEVELS:
        raise ConfigError(
            "config.value", f"{settings.says('log.level')} is unknown. Choose one of {', '.join(_LEVELS)}."
        )
    _check_directory(settings)
    _check_tls(settings)
    loaded = Config(
        source=source,
        name=settings["name"],
        state_dir=Path(settings["state_dir"]),
        province_public_key=_point(settings),
        mqtt=_mqtt(settings, environment),
        uplink=Uplink(**settings.section("uplink")),
        outbox=OutboxLimits(**settings.section("outbox")),
        locks=Locks(**{**settings.section("locks"), "addresses": _addresses(settings)}),
        monitor=MonitorSettings(**settings.section("monitor")),
        log=LogSettings(**settings.section("log")),
    )
    _check_key(loaded.province_public_key, settings)
    return loaded


def _check_key(public: bytes | None, settings: _Settings) -> None:
    experiment = settings["experiment_without_key"]
    if public is None and not experiment:
        raise ConfigError(
            "config.value",
            f"{settings.says('province_public_key')} is empty. Set it to the key that your province publishes, 130 hex "
            "digits. For an experiment without the key, set experiment_without_key = true. Then the agent believes "
            "anyone who reaches the broker.",
        )
    if public is not None and experiment:
        raise ConfigError(
            "config.value",
            f"{settings.says('experiment_without_key')} contradicts {settings.says('province_public_key')}. Remove one "
            "of them.",
        )


def _mqtt(settings: _Settings, environment: Mapping[str, str]) -> Mqtt:
    section = settings.section("mqtt")
    hosts, port, password_file = section.pop("hosts"), section.pop("port"), section.pop("password_file")
    brokers = tuple(address for host in hosts if (address := broker_address.parse(host, port)) is not None)
    if not brokers or len(brokers) < len(hosts):
        raise ConfigError(
            "config.value",
            f"{settings.says('mqtt.hosts')} is no list of hosts. Write names or addresses, each alone or with a port, "
            'as in ["broker.example", "10.0.0.2:8884", "[fd00::2]:8884"].',
        )
    path = section["websocket_path"]
    if path and not (path.startswith("/") and path.isascii() and " " not in path):
        raise ConfigError(
            "config.value", f"{settings.says('mqtt.websocket_path')} is no path. Start it with /, as in /mqtt."
        )
    return Mqtt(brokers=brokers, password=_password(settings, password_file, environment), **section)


def _password(settings: _Settings, file: str, environment: Mapping[str, str]) -> str:
    """Return the password for the broker, from the environment or from the first line of a file."""
    password = environment.get(ENVIRONMENT_PASSWORD, "")
    if file and password:
        raise ConfigError(
            "config.value",
            f"{settings.says('mqtt.password_file')} and {ENVIRONMENT_PASSWORD} are both set. Remove one of them.",
        )
    if file:
        try:
            with Path(file).open(encoding="utf-8") as lines:
                password = lines.readline(LONGEST_PASSWORD + 2).rstrip("\r\n")
            if len(password) > LONGEST_PASSWORD:
                raise ValueError
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its first line is no password"
            raise ConfigError(
                "config.file", f"{settings.says('mqtt.password_file')} cannot be read: {reason}. Check its permissions."
            ) from None
        if not password:
            raise ConfigError(
                "config.file",
                f"{settings.says('mqtt.password_file')} is empty. Write the password into its first line.",
            )
    if password and not settings["mqtt.username"]:
        raise ConfigError("config.value", "there is a password for the broker, but mqtt.username is empty. Set it.")
    return password


def _check_tls(settings: _Settings) -> None:
    ca, cert, key = (settings[f"mqtt.{name}"] for name in ("ca", "cert", "key"))
    if bool(cert) != bool(key):
        one, other = ("mqtt.cert", "mqtt.key") if cert else ("mqtt.key", "mqtt.cert")
        raise ConfigError("config.value", f"{settings.says(one)} needs {other}, which is empty. Set both or none.")
    if cert and not ca:
        raise ConfigError(
            "config.value", f"{settings.says('mqtt.cert')} needs mqtt.ca: without it there is no TLS. Set mqtt.ca."
        )


def _check_directory(settings: _Settings) -> None:
    """Refuse a directory that cannot be made. `check-config` and the running service find out whether it can be
    written."""
    name, says = settings["state_dir"], settings.says("state_dir")
    if not name:
        raise ConfigError("config.value", f"{says} is empty. Name a directory.")
    for place in (Path(name), *Path(name).parents):
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            return
        except OSError as error:
            raise ConfigError("config.value", f"{says} cannot be used: {error.strerror}. Choose another.") from None
        if not stat.S_ISDIR(mode):
            raise ConfigError("config.value", f"{says} cannot be used: {place} is a file. Choose another.")
        return


def _addresses(settings: _Settings) -> tuple[str, ...]:
    addresses = tuple(address.upper() for address in settings["locks.addresses"])
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise ConfigError(
                "config.value",
                f"{settings.says('locks.addresses')} has {address!r}, which is no Bluetooth address. Write one such as "
                "AA:BB:CC:DD:EE:01.",
            )
        if addresses.count(address) > 1:
            raise ConfigError(
                "config.value", f"{settings.says('locks.addresses')} names {address} twice. Remove one of the two."
            )
    return addresses


def _point(settings: _Settings) -> bytes | None:
    text = settings["province_public_key"]
    if not text:
        return None
    says = settings.says("province_public_key")
    try:
        point = bytes.fromhex(text)
    except ValueError:
        point = b""
    if len(point) != 65 or point[0] != 4:
        raise ConfigError("config.value", f"{says} is no key. Write 130 hex digits that start with 04.")
    if not is_point(crypto_cpython, "P-256", point):
        raise ConfigError(
            "config.value", f"{says} is no point of P-256, so no receipt could be verified. Copy it again."
        )
    return point
