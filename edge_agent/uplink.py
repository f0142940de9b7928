"""Send batches of records from the outbox to the province. Repeat each record until a receipt covers it.

A PUBACK shows only that the broker is alive, because brokers lose messages that they have acknowledged. When the
province has signed a receipt or a refusal for a record, the record leaves the outbox. `edge_agent.lanes` chooses which
records go out next. A batch:

    state       event                                     next state
    ----------  ----------------------------------------  -------------------------------------------------------
    gathered    its lane and the broker have room         under way: published once
    under way   PUBACK                                    under way
    under way   PUBACK with a refusal of its size         gone: its records are sent in smaller batches at once
    under way   PUBACK with another refusal               under way: the receipt timeout is the wait for another try
    under way   every record in it is settled             gone
    under way   no receipt within the receipt timeout     gone; `edge_agent.lanes` says when its records go out again
    under way   no PUBACK within PUBACK_SECONDS           gone; the connection is closed
    under way   the connection ends                       gone; on the next connection all records are sent again

`edge_agent.batch_size` says how batches shrink until a broker takes them. A record that the broker does not take alone
is left out for RESEND_LIMIT, and told.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Final

from edge_agent import config, log
from edge_agent.backoff import Backoff
from edge_agent.batch_size import STRIKES, BatchSize
from edge_agent.broker import BrokerConnection, Message, Refusal
from edge_agent.broker_address import Brokers
from edge_agent.broker_identity import BrokerIdentity
from edge_agent.faults import FaultError, Faults
from edge_agent.lanes import RESEND_LIMIT, Lane, Lanes, UnderWay
from edge_agent.outbox import Key, Outbox
from protocol import uplink
from protocol.errors import FormatError, MooringError, StorageError, TransportError

RECONNECT: Final = Backoff(first=1.0, limit=120.0)
"""Waits between attempts. A broker that restarts is back in about a second. After an outage of hours, the agent must
notice within two minutes that the broker is back. But the agent's handshakes must not use up a mobile data plan."""
STEADY_SECONDS: Final = 30.0
"""After a connection that lasted this long, the agent starts again with the shortest wait. If a connection is shorter,
the broker probably threw us out."""
_RENEWED: Final = "broker.renewed"
"""Code of the end of a connection that we end ourselves, to connect with the next certificate at once."""
PUBACK_SECONDS: Final = 30.0
"""Time limit for a PUBACK. A broker that needs more time than this hangs, even if TCP still works. Keepalive notices
that later.
"""


class Uplink:
    """Keeps a connection to the broker and drains `outbox` through it.

    `on_receipts(Receipts)`, `on_command(Command)` and `on_pass(bytes)` are called for messages from the province.
    `on_receipts` returns the keys of the records that have left the outbox. Each of these functions returns when the
    content of the message is durable. Then the message is acknowledged. If the function raises an exception:

    - FormatError: the message is logged, acknowledged and skipped. The message would be wrong next time too.
    - Any other MooringError: the message stays unacknowledged, and the connection ends.
    - Any other exception: it is counted in `faults`, and the message is skipped. One message must not stop the next
      messages.

    `on_online()` is called when the connection is up, and `on_offline()` when it has ended.
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
        faults: Faults,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        self._faults, self._reconnect = faults, reconnect
        self._settings, self._outbox, self._version = settings, outbox, version
        self._on_receipts, self._on_command, self._on_pass = on_receipts, on_command, on_pass
        self._on_online, self._on_offline = on_online, on_offline
        self._brokers = Brokers(settings.mqtt.brokers)
        self.identity = BrokerIdentity(settings)
        """Certificate and key for the broker."""
        self._switch = False
        self._connection: BrokerConnection | None = None
        self._wake = asyncio.Event()
        self._timeout = float(settings.uplink.receipt_timeout_seconds)
        self._size = BatchSize(settings.uplink.batch_bytes)
        self._suspects: Counter[Key] = Counter()
        self._unsendable: dict[Key, float] = {}
        self._start_over()

    @property
    def online(self) -> bool:
        """Return True if there is a working connection to the broker now."""
        return self._connection is not None

    @property
    def under_way(self) -> int:
        """Number of batches that are published but not settled."""
        return len(self._lanes.under_way)

    @property
    def unsendable(self) -> int:
        """Number of records that the broker does not take, even alone in a batch."""
        return len(self._unsendable)

    def wake(self) -> None:
        """Look for new records now. Call this after a record was stored."""
        self._wake.set()

    def send(self, payload: bytes) -> bool:
        """Publish a message on `up` now. Return False if offline or if too much is under way. Then try again later."""
        if self._connection is None or not self._connection.has_room:
            return False
        try:
            self._connection.publish(uplink.UP, payload)
        except TransportError:
            return False
        return True

    def show_next_certificate(self) -> None:
        """End the present connection, and connect at once with the next certificate."""
        self._switch = True
        self._wake.set()

    async def run(self) -> None:
        """Stay connected and send records until cancelled."""
        failures = 0
        while True:
            began = _now()
            error = await self._connect_and_serve()
            if error.code == _RENEWED:
                continue
            # After smaller batches were chosen, the next try is a new one.
            shrank = self._learn_from_end(error)
            failures = 1 if shrank or _now() - began > STEADY_SECONDS else failures + 1
            broker = str(self._brokers.current)
            wait = self._reconnect.wait(failures) if self._brokers.fails() else 0.0
            log.event("broker.lost", broker=broker, code=error.code, reason=error.message, retry_seconds=round(wait, 2))
            await asyncio.sleep(wait)

    async def _connect_and_serve(self) -> TransportError:
        """Serve one connection; return why it ended. Raises StorageError or ConfigError if reconnecting cannot help."""
        try:
            return await self._serve_one()
        except TransportError as error:
            return self._faults.note(error) if isinstance(error, FaultError) else error
        except StorageError as error:
            if error.code != "outbox.corrupt":
                raise
            # The outbox makes a new file at the next check.
            return TransportError(error.code, error.message)
        except MooringError:
            raise
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            return self._faults.note(error)

    async def _serve_one(self) -> TransportError:
        pair, worked = self.identity.pair, False
        self._switch = False
        mqtt = replace(self._settings.mqtt, cert=pair.cert, key=pair.key)
        connection = BrokerConnection(
            mqtt, self._brokers.current, self._settings.name, self._version, self._acknowledged
        )
        try:
            await connection.open()
            worked = True
            self.identity.works(pair)
            self._start_over()
            self._connection = connection
            self._brokers.works()
            log.event("broker.connected", host=self._brokers.current.host, port=self._brokers.current.port)
            self._on_online()
            error = await _first_end(self._pump(connection), self._receive(connection), connection.ended())
            if isinstance(error, FaultError):
                raise error
            return error
        finally:
            self.identity.ended(pair, worked=worked)
            was_online, self._connection = self._connection is not None, None
            if was_online:
                self._on_offline()
            await connection.close()

    def _start_over(self) -> None:
        """On the new connection, send again every record that has no receipt, because the broker may have lost some of
        these records."""
        self._lanes = Lanes(self._outbox, self._settings.uplink.window, self._timeout, _now)

    def _learn_from_end(self, error: TransportError) -> bool:
        """Shrink batches if the connection has ended because of a batch. Return True if they shrank."""
        waiting = [batch for batch in self._lanes.under_way if not batch.acknowledged]
        if not waiting or error.code not in ("broker.lost", "broker.silent"):
            return False
        largest = max(waiting, key=lambda batch: batch.size)
        blamed = self._size.ended(largest.size, _now())
        if blamed:
            log.event("batch.shrunk", bytes=self._size.limit, refused=largest.size, reason=error.message)
            self._suspect(largest, STRIKES)
        return blamed

    def _suspect(self, batch: UnderWay, most: int) -> None:
        """Leave a record out if it was blamed `most` times, alone in its batch."""
        if len(batch.keys) != 1:
            return
        (key,) = batch.keys
        self._suspects[key] += 1
        if self._suspects[key] >= most:
            del self._suspects[key]
            self._unsendable[key] = _now() + RESEND_LIMIT
            log.event("record.unsendable", lock=key[0], counter=key[1], bytes=batch.size)

    # --- up ----------------------------------------------------------------------------------------------------------

    async def _pump(self, connection: BrokerConnection) -> TransportError:
        file = self._outbox.rebuilt
        while True:
            if self._switch:
                return TransportError(_RENEWED, "the next certificate is used from now on")
            if self._outbox.rebuilt != file:
                raise TransportError("outbox.rebuilt", "the outbox has a new file, so all its records are sent again")
            self._wake.clear()
            self._check_broker(connection)
            self._lanes.expire()
            pause = self._publish_next(connection)
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
            else:
                # Let receipts be handled between two batches, even when the backlog is long.
                await asyncio.sleep(0)

    def _publish_next(self, connection: BrokerConnection) -> float:
        """Publish a batch if it is time to do so. Return the seconds until the next call; 0 means at once."""
        return min(self._publish_from(connection, lane) for lane in self._lanes.all)

    def _publish_from(self, connection: BrokerConnection, lane: Lane) -> float:
        if lane.is_full or not connection.has_room or (self._size.probing and self._lanes.under_way):
            return self._next_deadline(connection)
        batching = self._settings.uplink
        most = min(self._size.limit, connection.max_payload - uplink.MAX_BYTES)
        rows = self._lanes.find(lane, most, self._is_unsendable)
        if not rows:
            return self._next_deadline(connection)
        size = sum(len(row.record) for row in rows)
        # If nothing is under way, send the record at once. Gather more records only while the province is busy.
        gathering = lane is not self._lanes.backlog and bool(lane.under_way) and len(rows) < uplink.MAX_RECORDS
        waited = _now() - lane.under_way[-1].sent if lane.under_way else 0.0
        if gathering and size < most * 3 // 4 and waited < batching.batch_ms / 1000:
            return max(batching.batch_ms / 1000 - waited, 0.001)
        batch_id = os.urandom(8)
        mid = connection.publish(uplink.UP, uplink.Batch(batch_id, [row.record for row in rows]).encode())
        lane.under_way.append(UnderWay(batch_id, mid, rows, _now()))
        self._lanes.take(lane, rows)
        log.event("batch.sent", batch=batch_id, records=len(rows), bytes=size)
        return 0

    def _is_unsendable(self, key: Key) -> bool:
        if key in self._unsendable and _now() >= self._unsendable[key]:
            del self._unsendable[key]
        return key in self._unsendable

    def _next_deadline(self, connection: BrokerConnection) -> float:
        """Return the seconds until the next deadline of a batch, a PUBACK or a repetition.

        Without any deadline, return PUBACK_SECONDS.
        """
        due = self._lanes.deadline()
        deadlines = [] if due is None else [due]
        if connection.waiting_since is not None:
            deadlines.append(connection.waiting_since + PUBACK_SECONDS)
        return max(min(deadlines, default=_now() + PUBACK_SECONDS) - _now(), 0.001)

    def _check_broker(self, connection: BrokerConnection) -> None:
        since = connection.waiting_since
        if since is not None and _now() - since >= PUBACK_SECONDS:
            raise TransportError("broker.silent", f"the broker sent no PUBACK within {PUBACK_SECONDS:.0f} s")

    def _acknowledged(self, mid: int, refusal: Refusal | None) -> None:
        self._wake.set()
        found = [batch for batch in self._lanes.under_way if batch.mid == mid]
        for batch in found:
            if refusal is None:
                batch.note_taken()
                self._size.passed(batch.size, _now())
                log.event("batch.acknowledged", batch=batch.batch_id)
            elif refusal.of_size:
                self._size.refused(batch.size, _now())
                log.event("batch.shrunk", bytes=self._size.limit, refused=batch.size, reason=refusal.reason)
                self._suspect(batch, 1)
                self._lanes.send_again(batch)
        if refusal is not None and not (found and refusal.of_size):
            # The batch stays under way, so that the agent waits for the receipt timeout before it tries again.
            log.event("batch.rejected", batch=found[0].batch_id if found else "", reason=refusal.reason)

    # --- down --------------------------------------------------------------------------------------------------------

    async def _receive(self, connection: BrokerConnection) -> TransportError:
        while True:
            message = await connection.messages.get()
            try:
                self._handle(message)
            except FormatError as error:
                # The message would be unreadable next time too. Without a PUBACK, this message would block the messages
                # after it.
                log.event("downlink.unreadable", leaf=message.leaf, code=error.code)
            except MooringError as error:
                log.event("downlink.failed", leaf=message.leaf, code=error.code, reason=error.message)
                raise TransportError("downlink.failed", error.code) from error
            except Exception as error:  # noqa: BLE001 -- contained here, and noted
                self._faults.note(error, leaf=message.leaf)
            connection.acknowledge(message)
            # Let the tasks for locks and batches run, even if many messages come at the same time.
            await asyncio.sleep(0)

    def _handle(self, message: Message) -> None:
        if message.leaf == uplink.RECEIPT:
            self._lanes.settle(self._on_receipts(uplink.parse_receipts(message.payload)))
            self._wake.set()
        elif message.leaf == uplink.PASS:
            self._on_pass(message.payload)
        else:
            self._on_command(uplink.parse_command(message.payload))


def _now() -> float:
    """Return the event loop's time in seconds, so that deadlines agree with the loop's timers."""
    return asyncio.get_running_loop().time()


async def _first_end(*parts: Coroutine[object, object, TransportError]) -> TransportError:
    """Run all parts until one of them ends. Return why this part ended, or raise the exception that ended it."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
