"""An outbox that the edge agent 0.2.0 made goes on with all that is in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent import database, inventory
from edge_agent.checksum import checksum
from edge_agent.outbox import Outbox
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.errors import StorageError
from tests.support.sources import ROOT

MADE = ROOT / "tests/data/outbox_0_2_0.sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "outbox.sqlite3"
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL;" + MADE.read_text(encoding="utf-8"))
    return made


def test_records_receipts_and_statements_of_0_2_0_are_all_there_and_can_be_sent(path: Path) -> None:
    with closing(Outbox(path)) as outbox:
        assert outbox.rebuilt == 0
        rows = outbox.batch(0, 10**6, 10)
        assert [row.counter for row in rows] == [2, 3, 4]
        lock_id = rows[0].lock_id
        for row in rows:
            record.verify(crypto, record.parse(row.record), outbox.identity(lock_id))
        assert outbox.known_through(lock_id) == 4
        assert [each.kind for each in outbox.statements.waiting(lock_id)] == ["receipt", "placement", "grant"]
        assert outbox.proven() == [("AA:BB:CC:DD:EE:01", lock_id)]
        assert outbox.put(record.parse(rows[0].record)) == "duplicate"
    with closing(database.open_for_reading(path)) as connection:
        counts = inventory.counts(connection)
        assert (counts.records, counts.quarantined, counts.disputed, counts.damaged) == (3, 2, 1, 0)
        sums = connection.execute("SELECT lock_id, counter, payload_hash, previous, record, checksum FROM records")
        assert all(checksum(*row[:5]) == row[5] for row in sums)


def test_the_commands_that_look_say_that_the_agent_must_start_once(path: Path) -> None:
    with pytest.raises(StorageError, match="Start this agent once") as refused:
        database.open_for_reading(path)
    assert refused.value.code == "outbox.version"


def test_the_layout_of_an_updated_file_is_that_of_a_new_one(path: Path, tmp_path: Path) -> None:
    def columns(place: Path) -> dict[str, list[str]]:
        Outbox(place).close()
        with closing(sqlite3.connect(place)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {name: sorted(row[1] for row in connection.execute(f"PRAGMA table_info({name})")) for name in tables}

    assert columns(path) == columns(tmp_path / "new.sqlite3")
