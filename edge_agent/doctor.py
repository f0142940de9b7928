"""Looks at everything that the agent depends on, and says what to do about what is not good: the command `doctor`."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from edge_agent import answers, broker_trouble, checks, credentials, database, inventory, status, tls
from edge_agent.answers import Answer
from edge_agent.broker_identity import BrokerIdentity, day
from edge_agent.checks import Finding
from edge_agent.config import Config
from edge_agent.counted import counted
from protocol.command_line_cpython import DONE, NO
from protocol.errors import FormatError, StorageError, VerificationError

OLD_SECONDS: Final = 6 * 3600
"""A record that has waited this long for a receipt is a reason to ask the province."""
SILENT_SECONDS: Final = 3600
PASS_SECONDS: Final = 2 * 86400
"""With less time than this left, a pass is a warning. The province sends a new one every day."""
WEAK_DBM: Final = -88
"""Below this signal, connections often fail. Adapters hear nothing below about -95 dBm."""
ADAPTERS: Final = Path("/sys/class/bluetooth")


def examine(settings: Config, *, colour: bool = False, adapters: Path = ADAPTERS) -> Answer:
    """Return all findings. With `colour`, the lines for people have the colours of a terminal. Raises StorageError."""
    running = status.is_running(settings.state_dir)
    said = status.read(settings.state_dir) if running else {}
    found = [
        *checks.of_configuration(settings),
        _agent(running),
        *_broker(settings, bool(said.get("broker"))),
        *_pass(settings),
        *_outbox(settings, said),
        _disk(settings),
        *_clock(),
        *_radio(adapters),
        *_signals(said),
        *_faults(said),
    ]
    worst = checks.worst(found)
    advice = {
        "good": "All is good.",
        "warning": "It works, and something above needs a look.",
        "bad": "Something above keeps the agent from its work. Begin with the first line that says bad.",
    }[worst]
    lines = [*answers.told(found), advice]
    if colour:
        lines = answers.coloured(lines)
    facts = {"ok": worst != "bad", "running": running, "checks": [asdict(finding) for finding in found]}
    return Answer(NO if worst == "bad" else DONE, facts, lines)


def _agent(running: bool) -> Finding:
    if running:
        return Finding("good", "agent", "it runs.")
    return Finding("bad", "agent", "it does not run. Start it: sudo systemctl start mooring-edge.")


def _broker(settings: Config, connected: bool) -> Iterator[Finding]:
    """Say whether the broker can be reached. If the agent is connected, nothing is tried."""
    if connected:
        yield Finding("good", "broker", "connected.")
        return
    problems = []
    for address in settings.mqtt.brokers:
        named = settings.mqtt
        try:
            with socket.create_connection(address, broker_trouble.PROBE_SECONDS) as channel:
                if named.ca:
                    context = tls.context(named.ca, *BrokerIdentity(settings).pair)
                    with context.wrap_socket(channel, server_hostname=address.host):
                        pass
        except OSError as error:
            problems.append(broker_trouble.unreachable(error, address, bool(named.ca)))
        else:
            yield Finding(
                "warning", "broker", f"{address} can be reached, and the agent is not connected. See broker.lost in "
                "the log: journalctl -u mooring-edge.",
            )  # fmt: skip
            return
    for problem in problems:
        yield Finding("bad", "broker", problem.message)


def _pass(settings: Config) -> Iterator[Finding]:
    try:
        end = credentials.stored_end(settings.state_dir)
    except OSError:
        return  # state_dir has its own finding
    except (FormatError, VerificationError):
        yield Finding("warning", "pass", "the file edge.pass is damaged. The agent asks the province for another one.")
        return
    now = time.time()
    if end is None:
        yield Finding(
            "warning", "pass", "none yet, so no lock is served. Run enroll, and give what it prints to the province."
        )
    elif end < now:
        yield Finding(
            "bad", "pass", f"ended on {day(end)}, so no lock is served. The province sends a new one when the broker "
            "is connected; if not, ask it whether this edge was revoked.",
        )  # fmt: skip
    elif end - now < PASS_SECONDS:
        yield Finding("warning", "pass", f"ends on {day(end)}. If the broker is connected, ask the province.")
    else:
        yield Finding("good", "pass", f"the province has admitted this edge, until {day(end)}.")


def _outbox(settings: Config, said: dict[str, Any]) -> Iterator[Finding]:
    try:
        with contextlib.closing(database.open_for_reading(settings.outbox_path)) as connection:
            counts, locks = inventory.counts(connection), inventory.locks(connection)
    except StorageError:
        return  # the database has its own finding
    oldest = counts.oldest_seconds or 0.0
    waiting = f"{counted(counts.records, 'record')} without a receipt"
    if oldest > OLD_SECONDS:
        yield Finding("bad", "queue", f"{waiting}, the oldest for {answers.age(oldest)}. Ask the province.")
    else:
        yield Finding("good", "queue", f"{waiting}.")
    if counts.disputed:
        disputed = counted(counts.disputed, "good record")
        yield Finding("bad", "queue", f"the province refuses {disputed}. Tell the province; see queue --quarantine.")
    if counts.damaged:
        changed = counted(counts.damaged, "record")
        yield Finding("warning", "disk", f"the disk has changed {changed}. Replace the SD card soon.")
    here = {lock.get("lock") for lock in said.get("locks", []) if lock.get("connected")}
    silent = [row for row in locks if row["lock"] not in here and (row["seen_seconds"] or 0) > SILENT_SECONDS]
    if silent:
        many = counted(len(silent), "lock")
        text = f"{many} not heard for an hour. See locks; check power and distance."
        yield Finding("warning", "locks", text)


def _disk(settings: Config) -> Finding:
    place = next(place for place in (settings.state_dir, *settings.state_dir.parents) if place.exists())
    free, reserve = shutil.disk_usage(place).free, settings.outbox.disk_reserve_mb * 1_000_000
    if free < reserve:
        return Finding(
            "bad", "disk", f"{free // 1_000_000} MB free, so no record is accepted. Free some space; locks keep theirs."
        )
    if free < 2 * reserve:
        return Finding("warning", "disk", f"{free // 1_000_000} MB free. Below {reserve // 1_000_000} MB intake stops.")
    return Finding("good", "disk", f"{free // 1_000_000} MB free.")


def _clock() -> Iterator[Finding]:
    """Ask systemd whether the clock is synchronised. Without systemd, say nothing."""
    try:
        command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.stdout.strip() == "yes":
        yield Finding("good", "clock", "synchronised.")
    elif done.stdout.strip() == "no":
        yield Finding("warning", "clock", "not synchronised. Run: sudo timedatectl set-ntp true. TLS needs the date.")


def _radio(adapters: Path) -> Iterator[Finding]:
    if sys.platform != "linux":
        return
    names = sorted(place.name for place in adapters.iterdir()) if adapters.is_dir() else []
    if names:
        yield Finding("good", "bluetooth", f"adapter {', '.join(names)}.")
    else:
        yield Finding("bad", "bluetooth", "no adapter. Check `dtoverlay` in config.txt, or plug one in.")


def _signals(said: dict[str, Any]) -> Iterator[Finding]:
    weak = [lock for lock in said.get("locks", []) if (lock.get("signal") or 0) < WEAK_DBM]
    if weak:
        many = counted(len(weak), "lock")
        text = f"{many} heard with less than {WEAK_DBM} dBm. Move the antenna, or add an edge agent. See locks."
        yield Finding("warning", "signal", text)


def _faults(said: dict[str, Any]) -> Iterator[Finding]:
    faults = said.get("faults", {})
    if faults:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        yield Finding("warning", "faults", f"{kinds} since the start. Report the agent.fault lines of the log.")
