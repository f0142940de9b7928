"""Answers of the commands that look and change nothing: `check-config`, `status`, `queue`, `locks`.

An answer has the same facts for programs and, as lines of text, for people. The agent may be running meanwhile.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from edge_agent import checks, database, inventory, status
from edge_agent.broker_identity import day
from edge_agent.config import Config
from edge_agent.counted import counted
from protocol.command_line_cpython import DONE, NO
from protocol.errors import StorageError

_ENDS: Final = (("pass", "pass_end"), ("TLS", "certificate_end"))
_GREEN, _YELLOW, _RED = "32", "33", "31"
_COLOURS: Final = (
    ("  good ", _GREEN),
    ("  warning ", _YELLOW),
    ("  bad ", _RED),
    ("agent    running", _GREEN),
    ("agent    not", _RED),
    ("broker   connected", _GREEN),
    ("broker   not", _RED),
    ("faults ", _YELLOW),
    ("ALARM ", _RED),
)
"""How a line begins that has a colour."""
NOT_WORKING: Final = 3
"""Exit code of `status` if the agent does not work."""


@dataclass(frozen=True)
class Answer:
    """An exit code, the facts for programs, and the lines for people."""

    code: int
    facts: dict[str, Any]
    lines: list[str]


def check_config(settings: Config) -> Answer:
    """Say what is in force, and try what the configuration names."""
    found = checks.of_configuration(settings)
    worst = checks.worst(found)
    brokers = ", then ".join(map(str, settings.mqtt.brokers))
    facts = {
        "ok": worst != "bad",
        "source": str(settings.source) if settings.source else None,
        "name": settings.name,
        "state_dir": str(settings.state_dir),
        "mqtt": {"brokers": [str(broker) for broker in settings.mqtt.brokers], "tls": bool(settings.mqtt.ca)},
        "locks": list(settings.locks.addresses),
        "receipts_verified": settings.province_public_key is not None,
        "checks": [asdict(finding) for finding in found],
    }
    lines = [
        f"{settings.source or 'no file, defaults and environment only'}: {'not usable' if worst == 'bad' else 'good'}",
        f"  edge {settings.name}, outbox in {settings.state_dir}",
        f"  broker {brokers}, {'TLS' if settings.mqtt.ca else 'without TLS'}",
        f"  locks: {', '.join(settings.locks.addresses) or 'searched for'}",
        *told(found),
    ]
    if settings.province_public_key is None:
        lines.append("  EXPERIMENT: without province_public_key, anyone who reaches the broker can delete records here")
    return Answer(NO if worst == "bad" else DONE, facts, lines)


def told(findings: list[checks.Finding]) -> list[str]:
    """Return findings as lines for people."""
    return [f"  {finding.level:7}  {finding.part}: {finding.text}" for finding in findings]


def coloured(lines: list[str]) -> list[str]:
    """Return lines for people in the colours of a terminal: what is good, what needs a look, and what is bad."""

    def one(line: str) -> str:
        code = next((code for start, code in _COLOURS if line.startswith(start)), None)
        return line if code is None else f"\x1b[{code}m{line}\x1b[0m"

    return [one(line) for line in lines]


def status_of(settings: Config, *, colour: bool = False) -> Answer:
    """Say whether the agent works. With `colour`, the lines for people have the colours of a terminal."""
    running = status.is_running(settings.state_dir)
    said = status.read(settings.state_dir) if running else {}
    broker, locks_said, version = bool(said.get("broker")), said.get("locks", []), said.get("version")
    faults, strangers, turns = said.get("faults", {}), said.get("strangers", 0), said.get("turns")
    contents = _contents(settings)
    working = running and broker
    facts = {"ok": working, "running": running, "version": version, "broker": broker, "locks": locks_said}
    facts |= {
        "faults": faults,
        "strangers": strangers,
        "turns": turns,
        "unsendable": said.get("unsendable", 0),
        "pass_end": said.get("pass_end"),
        "certificate_end": said.get("certificate_end"),
        "disk_written": said.get("disk_written"),
        "outbox": vars(contents) if contents else None,
    }
    lines = [
        f"agent    {'running' if running else 'not running'}{f', version {version}' if version else ''}",
        f"broker   {'connected' if broker else 'not connected'}",
        f"locks    {sum(lock['connected'] for lock in locks_said)} of {len(locks_said)} connected",
        *_turns_told(turns or {}, sum(not lock.get("answers", True) for lock in locks_said)),
    ]
    signals = [lock["signal"] for lock in locks_said if lock.get("signal") is not None]
    if signals:
        lines.append(f"signal   {max(signals)} dBm of the nearest lock, {min(signals)} dBm of the farthest")
    if written := said.get("disk_written"):
        lines.append(f"written  {written / 1e6:.1f} MB to the disk since the start")
    lines += [f"{name:<9}until {day(said[key])}" for name, key in _ENDS if said.get(key)]
    if strangers:
        lines.append(
            f"         {counted(strangers, 'address', 'addresses')} claiming to be a lock of ours, without proof"
        )
    if faults:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        lines.append(
            f"faults   {kinds} since the start. These are bugs: please report the agent.fault lines of the log"
        )
    if refused := said.get("intake_refused"):
        lines.append(f"ALARM    no record is taken in, so locks keep theirs: {refused['code']}: {refused['reason']}")
    if unsendable := said.get("unsendable", 0):
        which = counted(unsendable, "record")
        lines.append(f"ALARM    the broker does not take {which}, even alone. Raise its limit for messages to 128 KB")
    if contents is None:
        lines.append(f"outbox   none in {settings.state_dir}: no agent has ever run with this state_dir")
    else:
        oldest = "" if contents.oldest_seconds is None else f", oldest {contents.oldest_seconds:.0f} s"
        lines += [
            f"outbox   {counted(contents.records, 'record')}, {counted(contents.bytes, 'byte')}{oldest}",
            f"         {contents.quarantined} set aside, {_wait(contents.statements, 'statement')} for locks",
            *_disputed(contents),
            *damage_told(contents),
        ]
    return Answer(DONE if working else NOT_WORKING, facts, coloured(lines) if colour else lines)


def _turns_told(turns: Mapping[str, Any], silent: int) -> list[str]:
    lines = []
    if within := turns.get("within_seconds"):
        longest = age(turns.get("longest_seconds", 0))
        lines.append(f"         they take turns, each within {age(within)}; the longest wait so far was {longest}")
    if silent:
        lines.append(f"         {counted(silent, 'lock')} not answering. Each is tried again within minutes")
    return lines


def queue(settings: Config, *, with_quarantine: bool) -> Answer:
    """Say what waits for a receipt. If `with_quarantine`, also list each record that was set aside. Raises
    StorageError."""
    with contextlib.closing(database.open_for_reading(settings.outbox_path)) as connection:
        contents = inventory.counts(connection)
        by_lock = inventory.queue_by_lock(connection)
        aside = inventory.quarantine(connection) if with_quarantine else []
        disputed = inventory.disputed(connection) if with_quarantine else []
    facts: dict[str, Any] = {"ok": True, "records": contents.records, "bytes": contents.bytes, "locks": by_lock}
    facts |= {"oldest_seconds": contents.oldest_seconds}
    facts |= {"quarantined": contents.quarantined, "disputed": contents.disputed}
    facts |= {"quarantine": aside, "refused": disputed} if with_quarantine else {}
    lines = [
        f"{counted(contents.records, 'record')}, {counted(contents.bytes, 'byte')}; {contents.quarantined} set aside",
        *(f"  {row['lock']}  {_counters(row)}" for row in by_lock),
        *_disputed(contents),
        *(f"  kept {row['lock']} counter {row['counter']}: the province says {row['code']}" for row in disputed),
        *(f"  set aside {row['lock']} counter {row['counter']}: {row['code']}" for row in aside),
    ]
    return Answer(DONE, facts, lines)


def locks(settings: Config) -> Answer:
    """List all locks that were ever seen here. Raises StorageError."""
    with contextlib.closing(database.open_for_reading(settings.outbox_path)) as connection:
        rows = inventory.locks(connection)
    running = status.is_running(settings.state_dir)
    said = status.read(settings.state_dir).get("locks", []) if running else []
    now = {lock["lock"]: lock for lock in said if lock["lock"]}
    for row in rows:
        here = now.get(row["lock"], {})
        row |= {"connected": bool(here.get("connected")), "version": here.get("version")}
        row |= {"signal": here.get("signal")}
    lines = [counted(len(rows), "lock") + ("" if running else "; the agent does not run")]
    for row in rows:
        seen = "never seen" if row["seen_seconds"] is None else f"seen {age(row['seen_seconds'])} ago"
        where = "connected" if row["connected"] else seen
        version = f", software {row['version']}" if row["version"] else ""
        version += "" if row["signal"] is None else f", signal {row['signal']} dBm"
        waiting = f"{counted(row['records'], 'record')} and {counted(row['statements'], 'statement')} wait"
        lines.append(f"  {row['lock']}  {row['address'] or 'address unknown'}  {where}{version}; {waiting}")
    return Answer(DONE, {"ok": True, "running": running, "locks": rows}, lines)


def age(seconds: float) -> str:
    """Return a time span in its largest fitting unit: `90 s`, `3 min`, `5 h`, `2 days`."""
    for unit, size in (("days", 2 * 86400), ("h", 2 * 3600), ("min", 120)):
        if seconds >= size:
            whole = {"days": 86400, "h": 3600, "min": 60}[unit]
            return f"{seconds // whole:.0f} {unit}"
    return f"{seconds:.0f} s"


def _contents(settings: Config) -> inventory.Counts | None:
    """Count what is in the outbox. If no agent has run here, there is no outbox, and the result is None."""
    try:
        with contextlib.closing(database.open_for_reading(settings.outbox_path)) as connection:
            return inventory.counts(connection)
    except StorageError as error:
        if error.code != "outbox.missing":
            raise
        return None


def _disputed(contents: inventory.Counts) -> list[str]:
    if not contents.disputed:
        return []
    which = "1 record that its lock" if contents.disputed == 1 else f"{contents.disputed} records that their locks"
    return [f"ALARM    the province refuses {which} did sign. Kept here. Tell the province"]


def damage_told(contents: inventory.Counts) -> list[str]:
    """Return the lines about damage by the disk; none if there was no damage."""
    lines = []
    if contents.damaged or contents.rebuilt:
        made = f"; {counted(contents.rebuilt, 'new file')}" if contents.rebuilt else ""
        changed = counted(contents.damaged, "record")
        lines.append(f"ALARM    this disk has changed {changed}{made}. Check the disk, or replace it")
    if contents.absent:
        missing = counted(contents.absent, "record")
        lines.append(f"ALARM    {missing} without a receipt, and not in the lock. Tell the province")
    return lines


def _wait(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'waits' if number == 1 else 'wait'}"


def _counters(row: Mapping[str, Any]) -> str:
    """Say how many records of one lock wait for a receipt, and name the lowest and the highest counter."""
    if row["records"] == 1:
        return f"1 record, counter {row['first']}"
    return f"{counted(int(row['records']), 'record')}, counters {row['first']} to {row['last']}"
