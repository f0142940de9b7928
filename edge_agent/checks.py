"""Tries what the configuration names, before the agent needs it: folder, disk, database, TLS files.

`check-config` and `doctor` show these findings. Each finding says what is so, and what to do if it is not good.
"""

import contextlib
import os
import pwd
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge_agent import database, tls
from edge_agent.broker_identity import BrokerIdentity, day
from edge_agent.config import Config
from protocol.errors import ConfigError, StorageError

Level = Literal["good", "warning", "bad"]
"""The level bad means that the agent cannot work like this. A warning is for something that works now, but not for
long, or not safely."""

DAY: Final = 86400
WARN_DAYS: Final = 21
"""A certificate that ends within this many days is a warning. It leaves time for two visits."""
TLS_PORTS: Final = (8883, 443, 8084)
PLAIN_PORTS: Final = (1883, 80, 8083)
"""Ports that people use for MQTT with and without TLS, also over WebSocket."""


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. `part` names it, and `text` says what was found and what to do."""

    level: Level
    part: str
    text: str


def of_configuration(settings: Config) -> list[Finding]:
    """Try everything that the configuration names on this machine. The agent may be running meanwhile."""
    return [_folder(settings.state_dir), _database(settings.outbox_path), *_tls(settings), *_ports(settings)]


def worst(findings: list[Finding]) -> Level:
    """Return the worst level of all findings."""
    levels = {finding.level for finding in findings}
    return "bad" if "bad" in levels else "warning" if "warning" in levels else "good"


def _folder(folder: Path) -> Finding:
    """Write into the state folder, or into the nearest folder above it that exists."""
    place = next(place for place in (folder, *folder.parents) if _exists(place))
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"mooring")
    except OSError as error:
        user = owner(place)
        return Finding(
            "bad",
            "state_dir",
            f"cannot write into {place}: {error.strerror}. It belongs to {user}. Run this as the user of the agent, "
            f"with `sudo -u USER`; if the agent runs as another user, give it the folder.",
        )
    if place != folder:
        return Finding("good", "state_dir", f"{folder} does not exist yet. The agent will make it.")
    if place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("warning", "state_dir", f"other users can look into {folder}. Close it: chmod 700 {folder}.")
    return Finding("good", "state_dir", f"{folder} can be written.")


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return True


def owner(place: Path) -> str:
    """Return the name of the user to whom a file or folder belongs, or the user's number if it has no name."""
    try:
        number = place.stat().st_uid
    except OSError:
        return "another user"
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _database(path: Path) -> Finding:
    try:
        with contextlib.closing(database.open_for_reading(path)) as connection, database.errors():
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except StorageError as error:
        if error.code == "outbox.missing":
            return Finding("good", "database", f"{path} does not exist yet. The agent will make it.")
        return Finding("bad", "database", f"{path}: {error.message}")
    if found != "ok":
        return Finding(
            "bad",
            "database",
            f"{path} is damaged. The agent makes a new one at its start, and locks send their records again. Check the "
            "disk.",
        )
    return Finding("good", "database", f"{path} is sound.")


def _tls(settings: Config) -> list[Finding]:
    """Look at the dates of the certificates. Loading the configuration has already checked that they match the key."""
    if not settings.mqtt.ca:
        return []
    findings = [_dates("mqtt.ca", settings.mqtt.ca)]
    if settings.mqtt.cert:
        pair = BrokerIdentity(settings).proven
        findings.append(_dates("mqtt.cert", pair.cert))
        findings.append(_private("mqtt.key", Path(pair.key)))
    return findings


def _dates(part: str, path: str) -> Finding:
    try:
        begin, end = tls.validity(path)
    except ConfigError as error:
        return Finding("bad", part, error.message)
    return judged_dates(part, path, begin, end, time.time())


def judged_dates(part: str, path: str, begin: float, end: float, now: float) -> Finding:
    """Judge a certificate that is valid from `begin` to `end`. All times are in epoch seconds."""
    if now < begin:
        return Finding(
            "bad",
            part,
            f"{path} is valid only from {day(begin)} on, and the clock of this machine says {day(now)}. "
            "Set the clock (timedatectl), or ask for another certificate.",
        )
    if now >= end:
        return Finding(
            "bad", part, f"{path} ended on {day(end)}, and the clock of this machine says {day(now)}. Renew it."
        )
    left = int((end - now) // DAY)
    if left < WARN_DAYS:
        return Finding("warning", part, f"{path} ends on {day(end)}, in {left} days. Renew it before that day.")
    return Finding("good", part, f"{path} is valid until {day(end)}.")


def _private(part: str, path: Path) -> Finding:
    """Say whether other users can read a secret file."""
    if os.stat(path).st_mode & stat.S_IRWXO:
        return Finding("warning", part, f"every user can read {path}. Close it: chmod 600 {path}.")
    return Finding("good", part, f"{path} can be read by the agent, and not by everyone.")


def _ports(settings: Config) -> list[Finding]:
    return [_port(port, bool(settings.mqtt.ca)) for port in sorted({broker.port for broker in settings.mqtt.brokers})]


def _port(port: int, with_tls: bool) -> Finding:
    if with_tls and port in PLAIN_PORTS:
        return Finding(
            "warning", "mqtt.port", f"{port} is usually without TLS, but mqtt.ca is set. With TLS, 8883 is usual."
        )
    if not with_tls and port in TLS_PORTS:
        return Finding(
            "warning", "mqtt.port", f"{port} is usually with TLS, but mqtt.ca is empty. Set mqtt.ca to use TLS."
        )
    return Finding("good", "mqtt.port", f"{port}, {'with TLS' if with_tls else 'without TLS'}.")
