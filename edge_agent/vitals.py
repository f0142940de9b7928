"""Finds out how this agent does: the numbers for /metrics, and whether it is healthy and ready."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge_agent import database, inventory, log, metrics, tls
from edge_agent.checks import DAY, WARN_DAYS
from edge_agent.config import Config
from edge_agent.credentials import Credentials
from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.lock_state import LockState
from edge_agent.metrics import LockNumbers, Numbers
from edge_agent.roster import Roster
from edge_agent.uplink import Uplink
from protocol import link
from protocol.errors import ConfigError, StorageError

SILENT_SECONDS: Final = 3600.0
"""An own lock that was not heard for this long counts as silent."""
READ_SECONDS: Final = 60.0
"""Time between two looks at the file of the certificate."""
BEAT_SECONDS: Final = 30.0
"""If the housekeeping has not finished a round for this long, the agent is not healthy."""


class Vitals:
    """Reads the parts of one agent. `beat` is called after each round of housekeeping."""

    def __init__(
        self,
        settings: Config,
        credentials: Credentials,
        locks: Mapping[str, LockState],
        uplink: Uplink,
        downlink: Downlink,
        roster: Roster,
        faults: Faults,
    ) -> None:
        self._settings, self._credentials, self._locks, self._faults = settings, credentials, locks, faults
        self._uplink, self._downlink, self._roster = uplink, downlink, roster
        self._beat = time.monotonic()
        self._look_at = self._beat
        self._certificate_end: float | None = None
        self._certificate_read: float | None = None

    def beat(self) -> None:
        """Note that the housekeeping has done its work. Once a day, warn of a certificate that ends soon."""
        self._beat = time.monotonic()
        if self._beat < self._look_at:
            return
        self._look_at = self._beat + DAY
        end, now = self.certificate_end, time.time()
        if end is not None and end - now < WARN_DAYS * DAY:
            log.event("certificate.ends", path=self._uplink.identity.proven.cert, days=int((end - now) // DAY))

    def unhealthy(self) -> list[str]:
        """Return what is wrong in this process itself. A restart may help."""
        if time.monotonic() - self._beat > BEAT_SECONDS:
            return [f"the agent's own loop has not done its work for {BEAT_SECONDS:.0f} s"]
        return []

    def unready(self) -> list[str]:
        """Return why records cannot reach the province now."""
        wrong = [] if self._uplink.online else ["the broker is not connected: see broker.lost in the log"]
        if not self._credentials.available.is_set():
            wrong.append("there is no pass yet: ask the province to admit this edge")
        if self._disk_free() < self._settings.outbox.disk_reserve_mb * 1_000_000:
            wrong.append("no record is accepted: the disk is nearly full")
        return wrong

    async def text(self) -> str:
        """Return the numbers in the format of Prometheus."""
        return metrics.text(await self.numbers())

    async def numbers(self) -> Numbers:
        """Gather the numbers. The database is read in a thread, because a long queue takes some time to count."""
        now = {lock.lock_id for lock in self._locks.values() if lock.connected}
        contents, heard = await asyncio.to_thread(self._count)
        free, limits = self._disk_free(), self._settings.outbox
        full = contents is not None and contents.bytes >= limits.max_mb * 1_000_000
        return Numbers(
            broker=self._uplink.online,
            locks=[
                LockNumbers(lock.hello.lock_id[: link.PREFIX_BYTES].hex(), lock.hello.software, lock.signal)
                for lock in self._locks.values()
                if lock.connected and lock.hello
            ],
            own=len(self._credentials.locks),
            silent=len(self._credentials.locks - now - heard),
            strangers=self._roster.strangers,
            under_way=self._uplink.under_way,
            contents=contents,
            intake_refused=full or free < limits.disk_reserve_mb * 1_000_000,
            disk_free=free,
            last_receipt=self._downlink.last_receipt,
            clock_offset=self._downlink.clock_offset,
            certificate_end=self.certificate_end,
            pass_issued=self._credentials.issued_at or None,
            pass_end=self._credentials.not_after or None,
            faults=self._faults.counts,
            visit_limit=self._roster.rotation.bound_seconds,
            visit_longest=self._roster.rotation.longest_wait,
            visit_oldest=self._roster.rotation.oldest_visit_seconds,
            disk_written=self.disk_written,
        )

    def _count(self) -> tuple[inventory.Counts | None, frozenset[bytes]]:
        """Return what is in the outbox, and the ids of the locks that were heard lately."""
        rows: list[dict[str, Any]] = []
        contents = None
        try:
            with contextlib.closing(database.open_for_reading(self._settings.outbox_path)) as connection:
                contents, rows = inventory.counts(connection), inventory.locks(connection)
        except StorageError:
            pass  # the other numbers are still worth having, and the log tells the error of the disk
        heard = [row for row in rows if row["seen_seconds"] is not None and row["seen_seconds"] < SILENT_SECONDS]
        return contents, frozenset(bytes.fromhex(row["lock"]) for row in heard)

    @property
    def disk_written(self) -> int | None:
        """Bytes that this process has sent to disks so far, as Linux counts them; None elsewhere. They wear a card."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(Path("/proc/self/io").read_text(encoding="ascii").split("\nwrite_bytes: ")[1].split()[0])
        return None

    def _disk_free(self) -> int:
        return shutil.disk_usage(self._settings.state_dir).free

    @property
    def certificate_end(self) -> float | None:
        """When our certificate for the broker ends, in epoch seconds; None if it is not known. The file is read at most
        once in READ_SECONDS."""
        now = time.monotonic()
        if self._certificate_read is None or now - self._certificate_read >= READ_SECONDS:
            self._certificate_read, self._certificate_end = now, self._read_certificate_end()
        return self._certificate_end

    def _read_certificate_end(self) -> float | None:
        pair = self._uplink.identity.proven
        with contextlib.suppress(ConfigError):
            return tls.validity(pair.cert)[1] if pair.cert else None
        return None
