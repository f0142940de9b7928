"""The numbers that show how an agent does, in the text format of Prometheus.

Nothing is counted for a single lock: whoever reads the numbers would see when somebody uses which door. A lock has only
its signal and the version of its software. Its label is what the lock itself advertises to everybody.
Format: https://prometheus.io/docs/instrumenting/exposition_formats (version 0.0.4).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent import inventory
from protocol import VERSION

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "mooring_edge_"


@dataclass(frozen=True)
class LockNumbers:
    """A lock in reach: what it advertises of its id, in hex; its software version; its signal in dBm, if known."""

    lock: str
    version: str
    signal: int | None = None


@dataclass(frozen=True)
class Numbers:
    """What an agent knows of itself at one moment. All times are in epoch seconds; None means not known.

    `locks` are the locks in reach. `silent` counts own locks that were not heard for long. `disk_written` is in bytes,
    since the start of the agent. `clock_offset` is the province's time minus the time of this machine. Three numbers,
    in seconds, are about the time between two visits to a lock that answers: `visit_limit` is its limit, or None while
    all links stay open. `visit_longest` is the longest such time so far. `visit_oldest` is the longest one that goes on
    now.
    """

    broker: bool
    locks: Sequence[LockNumbers]
    own: int
    silent: int
    strangers: int
    under_way: int
    contents: inventory.Counts | None
    intake_refused: bool
    disk_free: int
    last_receipt: float | None
    clock_offset: float | None
    certificate_end: float | None
    pass_issued: float | None
    pass_end: float | None
    faults: Mapping[str, int]
    visit_limit: float | None = None
    visit_longest: float = 0.0
    visit_oldest: float = 0.0
    disk_written: int | None = None


def text(numbers: Numbers) -> str:
    """Return the numbers as Prometheus reads them."""
    return "\n".join(_lines(numbers)) + "\n"


def _lines(numbers: Numbers) -> Iterable[str]:
    held = numbers.contents
    yield from _one("info", "gauge", "The version of this agent; the value is always 1.", 1, f'{{version="{VERSION}"}}')
    yield from _one("broker_connected", "gauge", "1 if the broker is connected.", int(numbers.broker))
    yield from _one("locks_connected", "gauge", "Locks in reach now.", len(numbers.locks))
    yield from _one("locks_own", "gauge", "Locks that our passes list.", numbers.own)
    yield from _one("locks_silent", "gauge", "Own locks that were not heard for an hour.", numbers.silent)
    versions = Counter(lock.version for lock in numbers.locks)
    yield from _many("locks_software", "Locks in reach, by software version.", ["version"], _by_one(versions))
    named: dict[tuple[str, ...], int] = {(lock.lock, lock.version): 1 for lock in numbers.locks}
    yield from _many("lock_info", "Each lock in reach; the value is always 1.", ["lock", "version"], named)
    signals = {lock.lock: lock.signal for lock in numbers.locks if lock.signal is not None}
    yield from _many("lock_signal_dbm", "How strongly a scan has heard a lock.", ["lock"], _by_one(signals))
    if numbers.visit_limit is not None:
        yield from _one("visit_limit_seconds", "gauge", "Limit of the time between two visits.", numbers.visit_limit)
    longest, oldest = numbers.visit_longest, numbers.visit_oldest
    yield from _one("visit_longest_seconds", "gauge", "Longest time between two visits to a lock so far.", longest)
    yield from _one("visit_oldest_seconds", "gauge", "Age of the oldest last visit to a lock.", oldest)
    yield from _one("strangers", "gauge", "Addresses that claim an own lock without proof.", numbers.strangers)
    yield from _one("batches_under_way", "gauge", "Batches without a receipt.", numbers.under_way)
    yield from _one(
        "intake_refused", "gauge", "1 if no record of an own lock is accepted.", int(numbers.intake_refused)
    )
    yield from _one("disk_free_bytes", "gauge", "Free space where the outbox is.", numbers.disk_free)
    if held is not None:
        yield from _one("queue_records", "gauge", "Records without a receipt.", held.records)
        yield from _one("queue_bytes", "gauge", "Size of these records.", held.bytes)
        yield from _one("queue_oldest_seconds", "gauge", "Age of the oldest record.", held.oldest_seconds or 0)
        yield from _one("records_set_aside", "gauge", "Records that were set aside.", held.quarantined)
        yield from _one("records_disputed", "gauge", "Good records that the province refuses.", held.disputed)
        yield from _one("records_damaged_total", "counter", "Records that this disk has changed.", held.damaged)
        yield from _one("outbox_rebuilt_total", "counter", "Files made in place of a damaged one.", held.rebuilt)
        yield from _one("records_absent", "gauge", "Records that their locks do not have.", held.absent)
        yield from _one("statements_waiting", "gauge", "Statements that wait for a lock.", held.statements)
    for name, meaning, value in (
        ("last_receipt_timestamp_seconds", "When the last receipt of this run came.", numbers.last_receipt),
        ("clock_offset_seconds", "The province's time minus the time here.", numbers.clock_offset),
        ("certificate_end_timestamp_seconds", "When our certificate for the broker ends.", numbers.certificate_end),
        ("pass_issued_timestamp_seconds", "When the province issued our passes.", numbers.pass_issued),
        ("pass_end_timestamp_seconds", "When our passes end.", numbers.pass_end),
    ):
        if value is not None:
            yield from _one(name, "gauge", meaning, value)
    if numbers.disk_written is not None:
        written = numbers.disk_written
        yield from _one("disk_written_bytes_total", "counter", "Bytes written to the disk since the start.", written)
    faults = _by_one(numbers.faults)
    yield from _many("faults_total", "Errors that nobody foresaw, by type.", ["type"], faults, "counter")


def _one(name: str, kind: str, meaning: str, value: float, labels: str = "") -> Iterable[str]:
    yield f"# HELP {_PREFIX}{name} {meaning}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
    yield f"{_PREFIX}{name}{labels} {value}"


def _by_one(values: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(key,): value for key, value in values.items()}


def _many(
    name: str, meaning: str, labels: Sequence[str], values: Mapping[tuple[str, ...], int], kind: str = "gauge"
) -> Iterable[str]:
    yield f"# HELP {_PREFIX}{name} {meaning}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
    for key, value in sorted(values.items()):
        told = ",".join(f'{label}="{_plain(text)}"' for label, text in zip(labels, key, strict=True))
        yield f"{_PREFIX}{name}{{{told}}} {value}"


def _plain(text: str) -> str:
    """Return the text as it can stand in a label. A lock tells its version itself, so it may have any character."""
    return "".join(letter for letter in text if letter.isascii() and (letter.isalnum() or letter in ".-+_"))[:40]
