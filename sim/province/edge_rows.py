"""What the province's database holds about edges: who is admitted, who is revoked, and their certificates."""

from sim.province.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS edges (name TEXT PRIMARY KEY, public BLOB, locks BLOB);
CREATE TABLE IF NOT EXISTS revoked_edges (name TEXT PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS edge_certificates (
  digest BLOB PRIMARY KEY, edge TEXT NOT NULL, public BLOB NOT NULL, replaces BLOB NOT NULL, certificate BLOB NOT NULL,
  until INTEGER NOT NULL, revoked INTEGER);
"""


class EdgeRows(Database):
    """The rows about edges."""

    def put_edge(self, name: str, public: bytes | None, locks: list[bytes] | None) -> None:
        """Admit an edge. Until the edge asks for a pass, `public` is None. `locks` has lock ids. None stands for all
        locks.
        """
        listed = None if locks is None else b"".join(locks)
        self._write("INSERT OR REPLACE INTO edges VALUES (?,?,?)", name, public, listed)

    def revoke_edge(self, name: str, at: int | None) -> None:
        """Revoke an edge at the time `at`. With None, end the revocation."""
        if at is None:
            self._write("DELETE FROM revoked_edges WHERE name=?", name)
        else:
            self._write("DELETE FROM edges WHERE name=?", name)
            self._write("INSERT OR IGNORE INTO revoked_edges VALUES (?,?)", name, at)

    def is_revoked(self, name: str) -> bool:
        """Was this edge revoked?"""
        return bool(self._rows("SELECT 1 FROM revoked_edges WHERE name=?", name))

    def revoked_edges(self) -> list[str]:
        """Names of the revoked edges."""
        return [row[0] for row in self._rows("SELECT name FROM revoked_edges ORDER BY name")]

    def put_certificate(self, edge: str, digest: bytes, public: bytes, replaces: bytes, der: bytes, until: int) -> None:
        """Keep a new certificate of an edge. `replaces` is the digest of the certificate before, or empty."""
        self._write(
            "INSERT INTO edge_certificates VALUES (?,?,?,?,?,?,NULL)", digest, edge, public, replaces, der, until
        )

    def last_certificate(self, edge: str) -> tuple[bytes, bytes, bytes, bytes] | None:
        """Return (digest, public key, digest of the certificate before, certificate) of the last certificate of an edge
        that is not revoked, or None."""
        rows = self._rows(
            "SELECT digest, public, replaces, certificate FROM edge_certificates WHERE edge=? AND revoked IS NULL "
            "ORDER BY rowid DESC LIMIT 1",
            edge,
        )
        return rows[0] if rows else None

    def certificate(self, digest: bytes) -> bytes | None:
        """Return the certificate with that SHA-256 value if it is not revoked, else None."""
        rows = self._rows("SELECT certificate FROM edge_certificates WHERE digest=? AND revoked IS NULL", digest)
        return rows[0][0] if rows else None

    def revoke_certificates(self, edge: str, at: int) -> None:
        """Revoke all certificates of an edge."""
        self._write("UPDATE edge_certificates SET revoked=? WHERE edge=? AND revoked IS NULL", at, edge)

    def revoked_certificates(self, now: int) -> list[tuple[bytes, int]]:
        """Return (certificate, time of revocation) of each revoked certificate that has not ended yet."""
        return self._rows(
            "SELECT certificate, revoked FROM edge_certificates WHERE revoked IS NOT NULL AND until>=?", now
        )

    def edge(self, name: str) -> tuple[bytes | None, list[bytes] | None] | None:
        """Return (key, lock ids) of an admitted edge, and None for any other edge."""
        rows = self._rows("SELECT public, locks FROM edges WHERE name=?", name)
        if not rows:
            return None
        public, locks = rows[0]
        return public, None if locks is None else [locks[at : at + 16] for at in range(0, len(locks), 16)]

    def edges(self) -> list[str]:
        """Names of the admitted edges."""
        return [row[0] for row in self._rows("SELECT name FROM edges ORDER BY name")]
