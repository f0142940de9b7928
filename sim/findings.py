"""What came of it all: counted and searched from every party's own words, for scenarios to promise about."""

import json
import time
from pathlib import Path
from typing import Any

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.record import CHECK_IN, OPENINGS
from sim.board.bus import BoardBus
from sim.board.openings import openings
from sim.exposure import Search
from sim.lock_process import LockProcess
from sim.people import Person
from sim.platform import Platform
from sim.province.province import Province
from sim.wiretap import Wiretap


class Findings:
    """The part of a World that only looks."""

    folder: Path
    province: Province
    platform: Platform
    bus: BoardBus
    lock: LockProcess
    wiretap: Wiretap
    people: list[Person]
    secret_digits: list[str]
    secret_keys: list[bytes]

    def edge_events(self, event: str) -> list[tuple[float, dict[str, Any]]]:
        """Lines of the edge agent's log with this event: (seconds, monotonic; facts), oldest first."""
        skew = _skew()
        lines = (self.folder / "edge.log").read_text().splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [(line["time"] - skew, line) for line in parsed if line["event"] == event]

    def moment(self, ticks: int) -> float:
        """When the lock's clock showed that, in seconds of this machine's `time.monotonic()`: not before it was, and
        later by no more than its quickest line took to get here."""
        came = [(line.at, line.ticks) for line in self.lock.console] + [
            (event.at, event.ticks) for event in self.bus.history if event.ticks
        ]
        return ticks / 1000 + min(at - on_the_lock / 1000 for at, on_the_lock in came)

    def defects(self) -> list[str]:
        """Taps that ended in a defect of the firmware, or for want of memory: the type of the error, or its code."""
        ends = [line.facts for line in self.lock.console if line.event in ("tap.failed", "tap.refused")]
        return [facts["error"] for facts in ends if "error" in facts] + [
            facts["code"] for facts in ends if facts.get("code", "").endswith(".memory")
        ]

    def openings(self) -> int:
        """How often the strike opened, over all boots."""
        return sum(1 for event in self.bus.changes(pins.STRIKE) if event.facts.get("value") == 1)

    def early_openings(self) -> int:
        """How often the strike opened while nothing in flash told of it, by the board's own record of both."""
        moved = openings(self.bus.history)
        return self.openings() - sum(1 for opening in moved if opening.durable is not None)

    def recorded(self) -> int:
        """Records of openings that the province committed, whatever its verdict."""
        return sum(1 for item in self.province.store.records() if item.kind in OPENINGS)

    def receipted(self) -> int:
        """Records of openings that the lock holds a receipt for."""
        through = self.receipted_through()
        return sum(1 for item in self.province.store.records() if item.kind in OPENINGS and item.counter <= through)

    def receipted_through(self) -> int:
        """The highest counter, of whatever record, that the lock holds a receipt for."""
        lines = [line for line in self.lock.console if line.event in ("journal.receipted", "lock.ready")]
        return max((int(line.facts.get("through", line.facts.get("receipted", 0))) for line in lines), default=0)

    def journaled(self) -> int:
        """Records of openings that the lock says are durable."""
        return len({line.facts["counter"] for line in self.lock.console if line.event == "journal.durable"})

    def next_counter(self) -> int:
        """The next record's counter, as the lock said at its last boot or wrote since."""
        boot = max(n for n, line in enumerate(self.lock.console) if line.event == "lock.ready")
        durable = ("journal.durable", "event.durable")
        written = [int(line.facts["counter"]) for line in self.lock.console[boot:] if line.event in durable]
        return max([int(self.lock.console[boot].facts["next"]), *(counter + 1 for counter in written)])

    def drained(self) -> bool:
        """Does the lock hold a receipt for all that it has written?"""
        return self.receipted_through() >= self.next_counter() - 1

    def unbroken(self) -> bool:
        """Does the province hold every counter up to the last that the lock has used?"""
        counters = [item.counter for item in self.province.store.records()]
        return counters == list(range(1, self.next_counter()))

    def duplicates(self) -> int:
        """Registrations that the province holds more than once for one guest of one stay."""
        check_ins = [(r.lock_id, r.grant_id, r.guest) for r in self.province.registrations(CHECK_IN)]
        return len(check_ins) - len(set(check_ins))

    def search(self) -> Search:
        """For all guests' data, for PINs and keys that a scenario knows of, and for keys that only one may hold."""
        keys = self.province.keys
        owned = [keys.signing_private, keys.sealing_private, self.platform.private, *self.secret_keys]
        return Search((text for person in self.people for text in person.secrets()), owned, self.secret_digits)

    def exposed(self) -> list[str]:
        """Where any of that can be read and must not: files of lock and edge, logs, MQTT. None is promised."""
        search = self.search()
        heard = {m.topic for m in self.wiretap.heard if search.hits(m.payload) or search.hits(m.topic.encode())}
        return sorted("MQTT " + topic for topic in heard) + search.files(self.folder, without="province")


def _skew() -> float:
    """What this machine's clock of the day is ahead of `time.monotonic()`, in seconds."""
    looks = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(8)]
    # Of looks that something came in between, the quickest is the truest.
    before, now, after = min(looks, key=lambda look: look[2] - look[0])
    return now - (before + after) / 2
