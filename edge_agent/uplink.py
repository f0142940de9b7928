"""The way up: batches from the outbox to the province, again and again until receipts cover them.

A batch is under way from its publication until every record in it is settled (receipted, or refused by the
province), or has waited too long for that; a PUBACK is only a sign that the broker lives. Nothing is queued in memory
beyond `window` batches, and REPEATS.

A lock of which the province says nothing, because it is not registered yet or because a record is missing, is silent.
Its records are sent again and again for as long as it takes, on a lane of their own, so that they take no place from
those of other locks.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Final

from edge_agent import config, log
from edge_agent.backoff import Backoff
from edge_agent.broker import BrokerConnection, Message
from edge_agent.faults import FaultError, Faults
from edge_agent.outbox import Key, Outbox
from protocol import uplink
from protocol.errors import FormatError, MooringError, TransportError

RECONNECT: Final = Backoff(first=1.0, limit=120.0)
"""A broker that merely restarts is back in about a second; an outage of hours must not cost two minutes more than
needed, nor drain an LTE tariff with handshakes."""
STEADY_SECONDS: Final = 30.0
"""A connection that lasted so long starts the series of waits anew; a shorter one is a broker that throws us out."""
PUBACK_SECONDS: Final = 30.0
"""A broker that takes longer is hung, whatever TCP says; keepalive alone would find out a minute later."""
RESEND_LIMIT: Final = 600.0
"""Longest wait between sending the same records again while the province is silent about them."""
REPEATS: Final = 4
"""Batches of silent locks under way at a time, beside the window: after an outage of the province this is the way back
of a building's backlog, and until then, at one batch each for a receipt timeout, a few KB/s."""


class _UnderWay:
    """A published batch: keys not yet settled, row ids, and when it went."""

    def __init__(self, batch_id: bytes, ids: set[int], keys: set[Key], size: int) -> None:
        self.batch_id, self.ids, self.keys, self.size = batch_id, ids, keys, size
        self.sent = _now()
        self.mid: int | None = None


class _Lane:
    """A way through the outbox in order of arrival: up to which row it has come, and what it has under way."""

    def __init__(self, window: int) -> None:
        self.window, self.cursor = window, 0
        self.under_way: list[_UnderWay] = []


class Uplink:
    """Keeps a connection to the broker and drains `outbox` through it.

    `on_receipts(Receipts)`, `on_command(Command)` and `on_pass(statement)` are called for what comes down; when they
    return, the content is durable and the message is acknowledged. A FormatError of theirs is logged and the message
    acknowledged and passed over, for it will never be another; any other MooringError leaves it unacknowledged and ends
    the connection. What is no MooringError is noted in `faults`, and the message passed over as well: no one message
    may stop those behind it, and only a receipt ends custody. `on_online()` is called when the connection is up,
    `on_offline()` when it has gone.
    """

    def __init__(
        self,
        settings: config.Config,
        outbox: Outbox,
        version: str,
        *,
        on_receipts: Callable[[uplink.Receipts], Iterable[Key]],
        on_command: Callable[[uplink.Command], None],
        on_pass: Callable[[bytes], None],
        on_online: Callable[[], None],
        on_offline: Callable[[], None],
        faults: Faults | None = None,
    ) -> None:
        self._faults = faults or Faults()
        self._settings, self._outbox, self._version = settings, outbox, version
        self._on_receipts, self._on_command, self._on_pass = on_receipts, on_command, on_pass
        self._on_online, self._on_offline = on_online, on_offline
        self._connection: BrokerConnection | None = None
        self._wake = asyncio.Event()
        self._timeout = float(settings.uplink.receipt_timeout_seconds)
        self._start_over()

    @property
    def online(self) -> bool:
        """Is there a working connection to the broker now?"""
        return self._connection is not None

    @property
    def under_way(self) -> int:
        """Batches published and not settled."""
        return sum(len(lane.under_way) for lane in self._lanes)

    def wake(self) -> None:
        """A record was stored."""
        self._wake.set()

    def send(self, payload: bytes) -> bool:
        """Publish a message on `up` now; False when offline or too much is under way: say it again later."""
        if self._connection is None or not self._connection.has_room:
            return False
        try:
            self._connection.publish(uplink.UP, payload)
        except TransportError:
            return False
        return True

    def _settle(self, keys: Iterable[Key]) -> None:
        """These records have left the outbox."""
        gone = set(keys)
        for lane in self._lanes:
            for batch in lane.under_way:
                batch.keys -= gone
            lane.under_way = [batch for batch in lane.under_way if batch.keys]
        if gone:
            self._province_speaks({lock_id for lock_id, _ in gone})
        self._wake.set()

    async def run(self) -> None:
        """Stay connected and drain until cancelled."""
        failures = 0
        while True:
            began = _now()
            error = await self._connect_and_serve()
            failures = 1 if _now() - began > STEADY_SECONDS else failures + 1
            wait = RECONNECT.wait(failures)
            log.event("broker.lost", code=error.code, reason=error.message, retry_seconds=round(wait, 2))
            await asyncio.sleep(wait)

    async def _connect_and_serve(self) -> TransportError:
        """One connection; returns why it ended. Raises StorageError or ConfigError, which no new connection mends."""
        try:
            return await self._serve_one()
        except TransportError as error:
            return self._faults.note(error) if isinstance(error, FaultError) else error
        except MooringError:
            raise
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            return self._faults.note(error)

    async def _serve_one(self) -> TransportError:
        connection = BrokerConnection(self._settings.mqtt, self._settings.name, self._version, self._acknowledged)
        try:
            await connection.open()
            self._start_over()
            self._connection = connection
            log.event("broker.connected", host=self._settings.mqtt.host, port=self._settings.mqtt.port)
            self._on_online()
            error = await _first_end(self._pump(connection), self._receive(connection), connection.ended())
            if isinstance(error, FaultError):
                raise error
            return error
        finally:
            was_online, self._connection = self._connection is not None, None
            if was_online:
                self._on_offline()
            await connection.close()

    def _start_over(self) -> None:
        """On a new connection everything without a receipt is sent again: the broker may have lost what it took."""
        self._fresh, self._repeated = _Lane(self._settings.uplink.window), _Lane(REPEATS)
        self._lanes = (self._fresh, self._repeated)
        self._silent: set[bytes] = set()
        self._patience = self._timeout
        self._repeat_at = self._heard = _now()

    # --- up ----------------------------------------------------------------------------------------------------------

    async def _pump(self, connection: BrokerConnection) -> TransportError:
        while True:
            self._wake.clear()
            self._check_broker(connection)
            self._expire()
            pause = self._publish_next(connection)
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
            else:
                # Let receipts in between two batches of a long backlog.
                await asyncio.sleep(0)

    def _publish_next(self, connection: BrokerConnection) -> float:
        """Publish a batch if it is time to; returns the seconds after which to look again, 0 at once."""
        return min(self._publish_from(connection, lane) for lane in self._lanes)

    def _publish_from(self, connection: BrokerConnection, lane: _Lane) -> float:
        batching = self._settings.uplink
        idle = lane is self._repeated and not self._silent
        if idle or len(lane.under_way) >= lane.window or not connection.has_room:
            return self._next_deadline(connection)
        most = min(batching.batch_bytes, connection.max_payload - uplink.MAX_BYTES)
        if lane is self._fresh:
            found = self._outbox.batch(lane.cursor, most, uplink.MAX_RECORDS, without=self._silent)
        else:
            found = self._outbox.batch(lane.cursor, most, uplink.MAX_RECORDS, only=self._silent)
        sent = {row_id for each in self._lanes for batch in each.under_way for row_id in batch.ids}
        rows = [row for row in found if row.id not in sent]
        if found and not rows:
            lane.cursor = found[-1].id
            return 0
        if not rows:
            return self._end_of(lane, connection)
        size = sum(len(row.record) for row in rows)
        # A lone record goes at once: waiting for company only pays while the province is busy with others.
        gathering = bool(lane.under_way) and len(found) < uplink.MAX_RECORDS
        waited = _now() - lane.under_way[-1].sent if lane.under_way else 0.0
        if gathering and size < most * 3 // 4 and waited < batching.batch_ms / 1000:
            return max(batching.batch_ms / 1000 - waited, 0.001)
        batch_id = os.urandom(8)
        under_way = _UnderWay(batch_id, {row.id for row in rows}, {(row.lock_id, row.counter) for row in rows}, size)
        under_way.mid = connection.publish(uplink.UP, uplink.Batch(batch_id, [row.record for row in rows]).encode())
        lane.under_way.append(under_way)
        lane.cursor = rows[-1].id
        log.event("batch.sent", batch=batch_id, records=len(rows), bytes=size)
        return 0

    def _end_of(self, lane: _Lane, connection: BrokerConnection) -> float:
        """A lane has come to the end of the outbox. What arrives later goes on from there; silent locks start anew."""
        lane.cursor = self._outbox.newest()
        now = _now()
        if lane is self._repeated and now >= self._repeat_at:
            if self._outbox.batch(0, 1, 1, only=self._silent):
                log.event("batch.again", locks=len(self._silent))
                lane.cursor = 0
                self._patience = min(self._patience * 2, max(RESEND_LIMIT, self._timeout))
                self._repeat_at = now + self._patience
                return 0
            self._silent.clear()
        return self._next_deadline(connection)

    def _expire(self) -> None:
        """Batches without a receipt for too long give their place to others, and the locks in them are silent."""
        now = _now()
        late = {lane: [batch for batch in lane.under_way if now - batch.sent >= self._timeout] for lane in self._lanes}
        batches = [batch for lane in self._lanes for batch in late[lane]]
        if not batches:
            return
        for lane in self._lanes:
            lane.under_way = [batch for batch in lane.under_way if batch not in late[lane]]
        self._silent |= {lock_id for batch in batches for lock_id, _ in batch.keys}
        log.event("receipt.late", batches=len(batches), silent_locks=len(self._silent), seconds=self._timeout)
        for batch in late[self._fresh]:
            # Perhaps the broker merely lost it: once more at once, and from then on less and less often.
            self._repeated.cursor = min(self._repeated.cursor, min(batch.ids) - 1)
            self._patience = self._timeout * 2
            self._repeat_at = now + self._patience

    def _province_speaks(self, of: set[bytes]) -> None:
        """Records of these locks were settled, so theirs go the usual way again."""
        now = _now()
        if self._silent & of:
            self._silent -= of
            self._fresh.cursor = 0
        if now - self._heard >= self._patience:
            # It spoke of nobody for longer than we would wait: it was away, and the others need not wait any longer.
            self._repeat_at = now
        self._heard = now

    def _next_deadline(self, connection: BrokerConnection) -> float:
        """Seconds until a batch is late, a PUBACK overdue or a repetition due; a long time if nothing is under way."""
        deadlines = [batch.sent + self._timeout for lane in self._lanes for batch in lane.under_way]
        if connection.waiting_since is not None:
            deadlines.append(connection.waiting_since + PUBACK_SECONDS)
        if self._silent and len(self._repeated.under_way) < REPEATS:
            deadlines.append(self._repeat_at)
        return max(min(deadlines, default=_now() + PUBACK_SECONDS) - _now(), 0.001)

    def _check_broker(self, connection: BrokerConnection) -> None:
        since = connection.waiting_since
        if since is not None and _now() - since >= PUBACK_SECONDS:
            raise TransportError("broker.silent", f"no PUBACK within {PUBACK_SECONDS:.0f} s")

    def _acknowledged(self, mid: int, refusal: str | None) -> None:
        self._wake.set()
        batch = next((batch for lane in self._lanes for batch in lane.under_way if batch.mid == mid), None)
        if refusal is not None:
            # Stays under way: the wait for its receipt is the wait before trying again.
            log.event("batch.rejected", batch=batch.batch_id if batch else "", reason=refusal)
        elif batch is not None:
            log.event("batch.acknowledged", batch=batch.batch_id)

    # --- down --------------------------------------------------------------------------------------------------------

    async def _receive(self, connection: BrokerConnection) -> TransportError:
        while True:
            message = await connection.messages.get()
            try:
                self._handle(message)
            except FormatError as error:
                # What cannot be read now cannot be read later; unacknowledged it would block what follows.
                log.event("downlink.unreadable", leaf=message.leaf, code=error.code)
            except MooringError as error:
                log.event("downlink.failed", leaf=message.leaf, code=error.code, reason=error.message)
                raise TransportError("downlink.failed", error.code) from error
            except Exception as error:  # noqa: BLE001 -- contained here, and noted
                self._faults.note(error, leaf=message.leaf)
            connection.acknowledge(message)
            # However much comes down at once, locks and batches have their turn.
            await asyncio.sleep(0)

    def _handle(self, message: Message) -> None:
        if message.leaf == uplink.RECEIPT:
            self._settle(self._on_receipts(uplink.parse_receipts(message.payload)))
        elif message.leaf == uplink.PASS:
            self._on_pass(message.payload)
        else:
            self._on_command(uplink.parse_command(message.payload))


def _now() -> float:
    """Seconds on the clock by which the loop wakes us: what is due by the one is due by the other."""
    return asyncio.get_running_loop().time()


async def _first_end(*parts: Coroutine[object, object, TransportError]) -> TransportError:
    """Run all until one ends. Raises what ended it, or returns its reason."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
