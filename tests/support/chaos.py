"""A building in virtual time, in which broker, province, edge agent and locks are killed at random.

Outbox, lanes, downlink, registry and both databases are the real ones. The broker and the radio are played here. A seed
decides everything that happens, so the same seed tells the same story. To kill the edge or the province, this module
opens a copy that it makes of the files at that moment, as a machine finds them after a power failure.
"""

import heapq
import itertools
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from edge_agent.credentials import Credentials
from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.lanes import Lanes, UnderWay
from edge_agent.outbox import Outbox
from protocol import crypto_cpython as crypto
from protocol import record, uplink
from protocol.errors import FormatError, VerificationError
from sim.province import Province
from tests.support.chain import NOW, event
from tests.support.chaos_plan import DOWN_SECONDS, RECONNECT_SECONDS, Lock, Outcome, Plan

EDGE = "edge-1"
WINDOW, MOST = 16, 49152
"""Batches under way, and bytes of a batch, as in `edge_agent/default.toml`."""


class Chaos:
    """Plays a plan in `folder`. `say` is told how far it is."""

    def __init__(self, folder: Path, seed: int, plan: Plan, say: Callable[[str], None] = lambda _text: None) -> None:
        self._folder, self._plan, self._say = folder, plan, say
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.now = self._healthy = 0.0
        self.outcome = Outcome()
        self._dead: Counter[str] = Counter()
        self._lives: Counter[str] = Counter()
        self._made: dict[tuple[bytes, int], float] = {}
        self._lanes: Lanes | None = None
        self._pump_at, self._stirred = 0.0, True
        self._open_province(folder / "province-0")
        self._open_edge(folder / "edge-0")
        self.locks = [Lock(self.province.keys.sealing_public) for _ in range(plan.locks)]
        self.province.admit_edge(EDGE)
        for number, lock in enumerate(self.locks):
            self.province.register_lock(
                *(lock.public,), listing=f"HZ-{number}", room="1", platform_key=lock.public, reader_chain=[b"\x30\x00"]
            )

    # --- playing -----------------------------------------------------------------------------------------------------

    def play(self) -> Outcome:
        """Play until everything has arrived and every lock knows it."""
        plan = self._plan
        for lock in self.locks:
            for _ in range(plan.records):
                self._at(self._random.uniform(0, plan.seconds), lambda lock=lock: self._make(lock))  # type: ignore[misc]
            self._at(self._random.uniform(0, plan.visits_every), lambda lock=lock: self._visit(lock))  # type: ignore[misc]
        if plan.outage[1]:
            self._at(plan.outage[0], lambda: self._kill("broker", plan.outage[1] - plan.outage[0]))
        if plan.faults_every:
            self._at(self._random.expovariate(1 / plan.faults_every), self._fault)
        self._connect()
        began, told = time.monotonic(), 0.0
        total = plan.locks * plan.records
        while any(lock.receipted < plan.records for lock in self.locks):
            at, _, act = heapq.heappop(self._agenda)
            assert at < 10 * plan.seconds + 100 * plan.bound_seconds + plan.receipts_after * 10, "it never ends"
            if not any(self._dead[what] for what in ("broker", "province", "edge")):
                self._healthy += at - self.now
            self.now = at
            act()
            self._pump()
            if time.monotonic() - began > told + 5:
                told = time.monotonic() - began
                self._say(f"{self.outcome.records} of {total} records at the province, {told:.0f} s")
        self.outcome.seconds = self.now
        return self.outcome

    def close(self) -> None:
        self.outbox.close()
        self.province.stop()

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._numbers), act))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._at(self.now + seconds, act)

    # --- locks and radio ---------------------------------------------------------------------------------------------

    def _make(self, lock: Lock) -> None:
        lock.append(event(record.BOOT, "power-on") | {record.LISTING_CODE: f"HZ-{self.locks.index(lock)}"})
        self._made[lock.lock_id, len(lock.records)] = self._healthy

    def _visit(self, lock: Lock) -> None:
        self._after(self._plan.visits_every, lambda: self._visit(lock))
        if self._dead["edge"] or not lock.alive:
            return
        # The link may break after any record.
        breaks = self._random.randrange(8) == 0
        self.outbox.lock_seen(lock.hello(), lock.lock_id.hex()[:6])
        known = self.outbox.known_through(lock.lock_id)
        begin = max(known, lock.receipted) + 1 if len(lock.records) >= known else lock.receipted + 1
        end = self._random.randint(begin - 1, len(lock.records)) if breaks else len(lock.records)
        for counter in range(begin, end + 1):
            item = record.verify(crypto, record.parse(lock.fetch(counter)), lock.public)
            assert self.outbox.put(item) in ("stored", "duplicate")
            self._stir()
        if self._lanes is not None and self._plan.junk:
            self._send_up(uplink.LockSeen(lock.lock_id, lock.public, {}).encode())
            self._send_up(uplink.PassRequest(self.credentials.public, 0).encode())
        if breaks:
            return
        for queued in self.outbox.statements.waiting(lock.lock_id):
            if queued.kind == "receipt":
                lock.take(queued.signed, self.province.public)
                self.outbox.statements.settle(queued)
                if self._random.randrange(4):
                    lock.saved = lock.receipted
            else:
                lock.papers.add(queued.signed)

    # --- edge --------------------------------------------------------------------------------------------------------

    def _open_edge(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.outbox = Outbox(folder / "outbox.sqlite3")
        self.outbox._db.execute("PRAGMA synchronous = OFF")
        self._edge_folder = folder
        self._downlink = Downlink(self.outbox, {}, self.province.public, Faults())
        self.credentials = Credentials(folder, self.province.public)

    def _connect(self) -> None:
        if self._lanes is None and not self._dead["edge"] and not self._dead["broker"]:
            self._lanes = Lanes(self.outbox, WINDOW, self._plan.timeout, lambda: self.now)
            self._stir()

    def _disconnect(self) -> None:
        """End the connection. All messages under way are lost."""
        self._lanes = None
        self._lives["connection"] += 1
        self._after(self._random.uniform(1, RECONNECT_SECONDS), self._connect)

    def _stir(self) -> None:
        """Let the edge look whether there is something to send."""
        self._stirred = True

    def _pump(self) -> None:
        if self._lanes is None or not self._stirred:
            return
        self._stirred = False
        self._lanes.expire()
        again = True
        while again:
            again = False
            for lane in self._lanes.all:
                rows = [] if lane.is_full else self._lanes.find(lane, MOST, lambda _key: False)
                if rows:
                    again = True
                    lane.under_way.append(UnderWay(bytes(8), 1, rows, self.now))
                    self._lanes.take(lane, rows)
                    self.outcome.batches += 1
                    self.outcome.sent += len(rows)
                    self._send_up(uplink.Batch(bytes(8), [row.record for row in rows]).encode())
        due = self._lanes.deadline()
        if due is not None and not self.now < self._pump_at <= due:
            self._pump_at = max(due, self.now + 0.001)
            self._at(self._pump_at, self._stir)

    # --- broker ------------------------------------------------------------------------------------------------------

    def _send_up(self, payload: bytes) -> None:
        life = self._lives["broker"], self._lives["province"]

        def arrive() -> None:
            if (self._lives["broker"], self._lives["province"]) != life or self._dead["province"]:
                self.outcome.lost["up"] += 1
            else:
                self._commit(payload)

        self._carry(payload, arrive, self._commit, 0.0)

    def _send_down(self, leaf: str, payload: bytes) -> None:
        life = self._lives["connection"]

        def arrive() -> None:
            if self._lives["connection"] != life or self._lanes is None:
                self.outcome.lost["down"] += 1
            else:
                self._hear(leaf, payload)

        self._carry(payload, arrive, lambda broken: self._hear(leaf, broken), self._plan.receipts_after)

    def _carry(self, payload: bytes, arrive: Callable[[], None], hear: Callable[[bytes], None], delay: float) -> None:
        """Carry a message, or lose it. Beside it, a broken copy may arrive."""
        if self._random.random() < self._plan.junk:
            hear(self._broken(payload))
        if self._random.random() < self._plan.forgets:
            self.outcome.lost["forgotten"] += 1
        else:
            self._after(delay + self._random.uniform(0.01, 0.3), arrive)

    def _broken(self, payload: bytes) -> bytes:
        junk = bytearray(payload)
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randrange(len(junk))
            junk[at : at + self._random.randint(0, 2)] = self._random.randbytes(self._random.randint(0, 3))
        return bytes(junk)

    # --- province ----------------------------------------------------------------------------------------------------

    def _open_province(self, folder: Path) -> None:
        self.province = Province(folder, "127.0.0.1", 1, clock=lambda: NOW + self.now)
        self.province.store._db.execute("PRAGMA synchronous = OFF")
        self._province_folder = folder

    def _commit(self, payload: bytes) -> None:
        answers = self.province.registry.handle(EDGE, payload)
        self._note_committed(payload)
        # The province may die between the commit and the answer.
        if self._plan.faults_every and self._random.randrange(60) == 0:
            self._kill("province", self._random.uniform(1, DOWN_SECONDS))
            return
        for _, leaf, said in answers:
            self._send_down(leaf, said)

    def _note_committed(self, payload: bytes) -> None:
        try:
            message = uplink.parse_up(payload)
        except FormatError:
            return
        for data in message.records if isinstance(message, uplink.Batch) else ():
            try:
                item = record.parse(data)
            except FormatError:
                continue
            if self.province.store.hash_of(item.lock_id, item.counter) == item.payload_hash:
                made = self._made.pop((item.lock_id, item.counter), None)
                if made is not None:
                    self.outcome.records += 1
                    self.outcome.slowest = max(self.outcome.slowest, self._healthy - made)

    def _hear(self, leaf: str, payload: bytes) -> None:
        if self._dead["edge"] or self._lanes is None:
            return
        self._stir()
        try:
            if leaf == uplink.RECEIPT:
                self._lanes.settle(self._downlink.on_receipts(uplink.parse_receipts(payload)))
            elif leaf == uplink.PASS:
                self.credentials.take(payload)
            else:
                self._downlink.on_command(uplink.parse_command(payload))
        except (FormatError, VerificationError):
            pass  # the agent passes over such a message

    # --- faults ------------------------------------------------------------------------------------------------------

    def _fault(self) -> None:
        if self.now > self._plan.seconds:
            return
        self._after(self._random.expovariate(1 / self._plan.faults_every), self._fault)
        what = self._random.choice(("broker", "province", "edge", "lock", "lock"))
        seconds = self._random.uniform(1, DOWN_SECONDS)
        if what == "lock":
            self._kill_lock(self._random.choice(self.locks), seconds)
        elif not self._dead[what]:
            self._kill(what, seconds)

    def _tell(self, what: str) -> None:
        self.outcome.story.append(f"{self.now:.2f} s: {what}")

    def _kill_lock(self, lock: Lock, seconds: float) -> None:
        if lock.alive:
            lock.die()
            self.outcome.killed["lock"] += 1
            self._tell(f"lock {self.locks.index(lock)} dies for {seconds:.2f} s")
            self._after(seconds, lock.boot)

    def _kill(self, what: str, seconds: float) -> None:
        self._tell(f"{what} dies for {seconds:.2f} s")
        self.outcome.killed[what] += 1
        self._dead[what] = 1
        self._lives[what] += 1
        if what != "province":
            self._disconnect()
        self._after(seconds, lambda: self._revive(what))

    def _revive(self, what: str) -> None:
        self._dead[what] = 0
        folder = self._folder / f"{what}-{self._lives[what]}"
        if what == "edge":
            before = self._edge_folder
            shutil.copytree(before, folder)
            self.outbox.close()
            self._open_edge(folder)
            shutil.rmtree(before)
        elif what == "province":
            before = self._province_folder
            shutil.copytree(before, folder)
            self.province.stop()
            self._open_province(folder)
            shutil.rmtree(before)
        self._after(self._random.uniform(1, RECONNECT_SECONDS), self._connect)


def unbroken(chaos: Chaos) -> list[str]:
    """Return everything that is wrong at the end: a record that is lost, came twice, or is still under way."""
    wrong = []
    store, plan = chaos.province.store, chaos._plan
    for number, lock in enumerate(chaos.locks):
        for counter, raw in enumerate(lock.records, 1):
            if store.hash_of(lock.lock_id, counter) != record.head(raw):
                wrong.append(f"lock {number} record {counter} is not at the province")
    total = plan.locks * plan.records
    committed = store.tally().get("records committed", 0)
    if (store.count(), committed) != (total, total):
        wrong.append(f"{store.count()} records, {committed} commits, {total} were made")
    if chaos.outbox.batch(0, 10**9, 1):
        wrong.append("the outbox is not empty")
    return wrong
