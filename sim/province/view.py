"""The province's data, for people (rich tables) and for programs (one JSON object).

Every committed record is shown with its verdict. No content that a lock signs can break a table.
"""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from protocol import record
from protocol.profile import CANONICAL, GUARDIAN, OF_MINORS
from sim.province import watch
from sim.province.quality import GOOD
from sim.province.stays import doubles, guardian_of, stays
from sim.province.store import CHAIN, UNOPENED, Lock, Registration, Store

KINDS = {
    UNOPENED: "unopened",
    record.CHECK_IN: "check-in",
    record.ENTRY: "entry",
    record.REFUSAL: "refusal",
    record.DOOR: "door",
    record.TAMPER: "tamper",
    record.BOOT: "boot",
    record.TIME: "time",
    record.MECHANICAL: "mechanical",
    record.READER: "reader",
    record.MAINTENANCE: "maintenance",
    record.LIFE: "sign-of-life",
}
_ALARMS = ((record.DOOR, "forced"), (record.DOOR, "held"), (record.TAMPER, "opened"))

YEAR_10000 = 253402300800
_MISSING_SHOWN = 20


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds >= YEAR_10000:
        return f"impossible: {seconds}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def delay(item: Registration) -> int | None:
    """Return in seconds the longest possible time from check-in to commit. None if the lock did not know the time."""
    if item.latest is None or item.earliest is None:
        return None
    return max(0, item.committed_at - item.earliest)


def unusable(item: Registration) -> bool:
    """Is the record only evidence, because it could not be opened or does not fit into its lock's chain?"""
    return item.kind == UNOPENED or item.verdict == CHAIN


def _missing(counters: list[int]) -> list[int]:
    """Return the first counters that are missing in the sorted `counters`. Even a huge gap costs little time."""
    missing: list[int] = []
    before = 0
    for counter in counters:
        missing += range(before + 1, min(counter, before + 1 + _MISSING_SHOWN))
        before = counter
    return missing[:_MISSING_SHOWN]


def _happened(records: list[Registration]) -> dict[str, int]:
    """Return how often each kind of entry or event happened. One record may stand for several entries or events."""
    counts: Counter[str] = Counter()
    for item in records:
        counts[KINDS.get(item.kind, str(item.kind))] += item.count
    return dict(counts)


def _silence_json(silence: watch.Silence) -> dict[str, Any]:
    return {
        "lock_id": silence.lock.lock_id.hex(),
        "room": silence.lock.room,
        "edge": silence.edge,
        "since": silence.since,
        "missed": silence.missed,
        "cause": silence.cause,
        "healed_at": silence.healed_at,
    }


def _lock_json(store: Store, lock: Lock, life: watch.Life | None) -> dict[str, Any]:
    records = [item for item in store.records() if item.lock_id == lock.lock_id]
    counters = [item.counter for item in records]
    receipt = store.receipt(lock.lock_id)
    return {
        "lock_id": lock.lock_id.hex(),
        "listing": lock.listing,
        "room": lock.room,
        "status": lock.status,
        "profile": lock.profile,
        "edge": lock.edge,
        "records": len(counters),
        "unusable": sum(map(unusable, records)),
        "happened": _happened(records),
        "last_counter": max(counters, default=0),
        "missing": _missing(counters),
        "receipted_through": receipt[0] if receipt else 0,
        "last_sign_of_life": life.last if life else None,
        "missing_signs_of_life": life.missing if life else None,
        "silent": life is not None and life.silent is not None,
    }


def _record_json(item: Registration, rooms: dict[bytes, str]) -> dict[str, Any]:
    return {
        "lock_id": item.lock_id.hex(),
        "counter": item.counter,
        "payload_hash": item.payload_hash.hex(),
        "kind": KINDS.get(item.kind, str(item.kind)),
        "earliest": item.earliest,
        "latest": item.latest,
        "listing": item.listing,
        "room": rooms.get(item.lock_id),
        "grant_id": item.grant_id.hex() if item.grant_id else None,
        "guest": item.guest,
        "fields": item.fields,
        "method": item.method,
        "what": item.what,
        "count": item.count,
        "occupancy": item.occupancy,
        "verdict": item.verdict,
        "committed_at": item.committed_at,
        "delay_seconds": delay(item),
    }


def _place_json(item: Registration) -> dict[str, Any]:
    return {"listing": item.listing, "lock_id": item.lock_id.hex(), "counter": item.counter, "earliest": item.earliest}


def as_json(store: Store, now: int) -> dict[str, Any]:
    """Return locks, silent locks, records, stays, IDs at two listings, quarantine and tallies, for `json.dumps`. `now`
    is the time in epoch seconds."""
    rooms = {lock.lock_id: lock.room for lock in store.locks()}
    lives = watch.lives(store, now)
    return {
        "locks": [_lock_json(store, lock, lives.get(lock.lock_id)) for lock in store.locks()],
        "silences": [_silence_json(silence) for silence in watch.silences(lives)],
        "records": [_record_json(item, rooms) for item in store.records()],
        "stays": [
            {**asdict(stay), "lock_id": stay.lock_id.hex(), "grant_id": stay.grant_id.hex()} for stay in stays(store)
        ],
        "doubles": [
            {"id_number": pair.id_number, "first": _place_json(pair.first), "second": _place_json(pair.second)}
            for pair in doubles(store)
        ],
        "quarantine": [
            {"lock_id": row[0].hex(), "counter": row[1], "payload_hash": row[2].hex(), "code": row[3], "seen": row[4]}
            for row in store.quarantined()
        ],
        "tally": store.tally(),
    }


def show(store: Store, console: Console, now: int) -> None:
    """Print everything as tables. `now` is the time in epoch seconds."""
    lives = watch.lives(store, now)
    console.print(_locks_table(store, lives))
    silences = watch.silences(lives)
    if silences:
        console.print(_silences_table(silences))
    console.print(_check_ins_table(store))
    console.print(_stays_table(store))
    if doubles(store):
        console.print(_doubles_table(store))
    entries = store.records(record.ENTRY)
    if entries:
        console.print(_entries_table(entries))
    events = [item for item in store.records() if item.kind in record.EVENTS]
    if events:
        console.print(_events_table(events))
    evidence = [item for item in store.records() if unusable(item)]
    if evidence:
        console.print(_evidence_table(evidence))
    quarantined = store.quarantined()
    if quarantined:
        table = Table("lock", "counter", "payload hash", "why", "seen", title="Quarantine: refused, kept as evidence")
        for lock_id, counter, payload_hash, code, seen in quarantined:
            table.add_row(lock_id.hex()[:8], str(counter), payload_hash.hex()[:16], f"[red]{code}[/red]", str(seen))
        console.print(table)
    counts = ", ".join(f"{name}: {count}" for name, count in store.tally().items())
    console.print(f"Since the beginning: {counts or 'nothing yet'}.")


def _locks_table(store: Store, lives: dict[bytes, watch.Life]) -> Table:
    table = Table(
        *("listing", "room", "lock", "status", "edge", "records", "receipt through", "missing", "sign of life, UTC"),
        title="Locks: one room, one code, one key",
    )
    for lock in store.locks():
        life = lives.get(lock.lock_id)
        facts = _lock_json(store, lock, life)
        missing = ", ".join(str(counter) for counter in facts["missing"])
        table.add_row(
            *(escape(lock.listing), escape(lock.room), lock.lock_id.hex()[:8], lock.status, lock.edge or "-"),
            *(str(facts["records"]), str(facts["receipted_through"]), f"[red]{missing}[/red]" if missing else "-"),
            "not expected" if life is None else _life(life),
        )
    return table


def _life(life: watch.Life) -> str:
    shown = "none yet" if life.last is None else _time(life.last)
    missing = f"\n{life.missing} missing" if life.missing else ""
    return f"[red]{shown}, silent{missing}[/red]" if life.silent else shown + missing


def _silences_table(silences: list[watch.Silence]) -> Table:
    table = Table(
        *("where", "lock", "edge", "since, UTC", "missed", "until, UTC", "what the province knows"),
        title="Silent locks: their signs of life do not come, or did not come for a while",
    )
    for silence in silences:
        where = f"{silence.lock.listing}\nroom {silence.lock.room}"
        until = "[red]still silent[/red]" if silence.healed_at is None else f"healed {_time(silence.healed_at)}"
        known = "" if silence.cause is None else watch.MEANINGS[silence.cause]
        table.add_row(
            *(escape(where), silence.lock.lock_id.hex()[:8], silence.edge or "none yet", _time(silence.since)),
            *(str(silence.missed), until, known),
        )
    return table


def _verdict(item: Registration) -> str:
    colour = "green" if item.verdict == GOOD else "red" if unusable(item) else "yellow"
    return f"[{colour}]{escape(item.verdict)}[/{colour}]"


def _check_ins_table(store: Store) -> Table:
    table = Table("where", "in, UTC", "guest", "verdict", title="Registrations: only the province can open them")
    rooms = {lock.lock_id: lock.room for lock in store.locks()}
    for item in store.records(record.CHECK_IN):
        told = [name for name in (*CANONICAL, *OF_MINORS) if name in item.fields]
        fields = "\n".join(f"[dim]{name}[/dim] {escape(item.fields[name])}" for name in told)
        if GUARDIAN in item.fields:
            adult = guardian_of(store, item)
            fields += f"\n[dim]who is[/dim] {escape(adult.fields['name'] if adult else 'not registered here, yet')}"
        spread = 0 if item.latest is None or item.earliest is None else item.latest - item.earliest
        where = f"{item.listing}\nroom {rooms.get(item.lock_id, '?')}\nguest {item.guest}, {item.method}"
        seconds = delay(item)
        late = "" if seconds is None else f"\n{seconds} s to commit"
        number = f"\nlock {item.lock_id.hex()[:8]} #{item.counter}"
        table.add_row(
            escape(where + number), f"{_time(item.earliest)}\nor up to {spread} s later{late}", fields, _verdict(item)
        )
        table.add_section()
    return table


def _stays_table(store: Store) -> Table:
    table = Table(
        *("where", "stay", "booked", "checked in", "openings", "until, UTC"),
        title="Stays: guests booked, guests registered, openings of the door",
    )
    for stay in stays(store):
        few = f"[yellow]{stay.checked_in}[/yellow]" if stay.checked_in < stay.booked else str(stay.checked_in)
        where = f"{stay.listing}, lock {stay.lock_id.hex()[:8]}"
        table.add_row(
            *(escape(where), stay.grant_id.hex()[:8], str(stay.booked), few, str(stay.openings), _time(stay.until))
        )
    return table


def _doubles_table(store: Store) -> Table:
    table = Table(
        "ID",
        "checked in, UTC",
        "and, before that stay was over",
        title="One ID at two listings at once: an officer should ask",
    )
    for pair in doubles(store):
        places = [
            f"{item.listing}, {_time(item.earliest)}, lock {item.lock_id.hex()[:8]} #{item.counter}"
            for item in (pair.first, pair.second)
        ]
        table.add_row(escape(pair.id_number), *map(escape, places))
    return table


def _entries_table(entries: list[Registration]) -> Table:
    table = Table(
        *("where", "first, UTC", "last, UTC", "times", "guest", "by", "lock", "verdict"),
        title="Entries: openings after the check-in; times: how many one record counts",
    )
    for item in entries:
        number = f"{item.lock_id.hex()[:8]} #{item.counter}"
        guest = "several" if item.guest is None else str(item.guest)
        table.add_row(
            *(escape(item.listing), _time(item.earliest), _time(item.latest), str(item.count), guest),
            *(escape(item.method), number, _verdict(item)),
        )
    return table


def _events_table(events: list[Registration]) -> Table:
    table = Table("where", "from, UTC", "to, UTC", "what", "times", "lock", "verdict", title="Events")
    for item in events:
        number = f"{item.lock_id.hex()[:8]} #{item.counter}"
        what = escape(f"{KINDS[item.kind]}: {item.what}")
        if (item.kind, item.what) in _ALARMS:
            what = f"[red]{what}[/red]"
        table.add_row(
            *(escape(item.listing), _time(item.earliest), _time(item.latest), what, str(item.count), number),
            _verdict(item),
        )
    return table


def _evidence_table(items: list[Registration]) -> Table:
    table = Table(
        *("lock", "counter", "what", "why", "payload hash", "committed, UTC"),
        title="Signed by the lock but unusable: committed and receipted as evidence, not registrations",
    )
    for item in items:
        what = KINDS.get(item.kind, str(item.kind))
        name = (item.lock_id.hex()[:8], str(item.counter), what)
        table.add_row(*name, _verdict(item), item.payload_hash.hex()[:16], _time(item.committed_at))
    return table
