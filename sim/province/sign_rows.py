"""What the province's database holds about signs of life (`sim.province.watch`): which locks have to make them, and the
signs that came and count."""

from typing import Any

from protocol import record
from sim.province.edge_rows import EdgeRows

SCHEMA = """
CREATE TABLE IF NOT EXISTS watched (lock_id BLOB PRIMARY KEY, since INTEGER NOT NULL, heard_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS signs (
  lock_id BLOB NOT NULL, counter INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  count INTEGER NOT NULL, edge TEXT NOT NULL, committed_at INTEGER NOT NULL,
  PRIMARY KEY (lock_id, counter)) WITHOUT ROWID;
"""


class SignRows(EdgeRows):
    """The rows about signs of life."""

    def watch(self, lock_id: bytes, since: int | None) -> None:
        """Expect signs of life of a lock from the time `since` on, unless they are expected already. If `since` is
        None, expect none."""
        if since is None:
            self._write("DELETE FROM watched WHERE lock_id=?", lock_id)
        else:
            self._write("INSERT OR IGNORE INTO watched VALUES (?,?,?)", lock_id, since, since)

    def watched(self) -> dict[bytes, tuple[int, int]]:
        """Return (since, heard at) of each lock whose signs of life are expected. See `watch` and `heard`."""
        return {row[0]: (row[1], row[2]) for row in self._rows("SELECT lock_id, since, heard_at FROM watched")}

    def put_sign(self, item: record.Record, body: dict[Any, Any], edge: str, now: int) -> None:
        """Keep what a sign of life says, and the edge that brought it."""
        first, last = body[record.EARLIEST], body[record.LATEST]
        # One sign was made at the earliest time or a little later. Of several signs, the last one was made at the end.
        last = first if body[record.COUNT] == 1 or last is None else last
        self._write(
            "INSERT OR IGNORE INTO signs VALUES (?,?,?,?,?,?,?)",
            *(item.lock_id, item.counter, first, last, body[record.COUNT], edge, now),
        )

    def signs(self, lock_id: bytes, since: int) -> list[tuple[Any, ...]]:
        """Return (first, last, count, edge, committed at) of the signs of life that came at the time `since` or later,
        in the order in which they came."""
        query = "SELECT first, last, count, edge, committed_at FROM signs WHERE lock_id=? AND committed_at>=?"
        return self._rows(query + " ORDER BY committed_at, counter", lock_id, since)
