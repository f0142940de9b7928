"""A story of a clock, a crystal and a province, and of a courier that may do anything. The story is a list of steps,
and is played on both runtimes.

A step is `[what, amount]`. Only this module knows the true time. `play` reports the errors of the clock.
"""

from firmware.hardware import ticks
from firmware.memory.clock import Clock
from protocol.errors import VerificationError
from protocol.signed_time import SignedTime
from tests.on_micropython.memory_store import MemoryStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NOON_MS = 1800000000000
LOCK_ID = bytes(16)
TICKS = 1 << 30
"""Number at which ticks wrap on the chip. On a 64-bit port, the ticks wrap at a different number."""


class Nonces:
    """The only cryptography that a clock needs: nonces, which are all different."""

    def __init__(self) -> None:
        self.made = 0

    def random(self, length: int) -> bytes:
        """Return the next nonce."""
        self.made += 1
        return self.made.to_bytes(length, "big")


class World:
    """The true time in milliseconds, and a crystal that runs `ppm` millionths too fast (too slow if negative)."""

    def __init__(self, period: int) -> None:
        self.true_ms = NOON_MS + 123
        self.ppm = 0
        self._period = period
        self._micro = 0

    def pass_by(self, ms: int) -> None:
        """Let `ms` milliseconds pass."""
        self.true_ms += ms
        self._micro += ms * (1000000 + self.ppm)

    def now(self) -> int:
        """Return the lock's ticks. At the beginning, the ticks are about to wrap."""
        return (self._micro // 1000000 - 100000) % self._period


def since(later: int, earlier: int) -> int:
    """Do the same as `time.ticks_diff` on the chip."""
    return ((later - earlier + TICKS // 2) % TICKS) - TICKS // 2


def play(steps: "list[Any]", period: int = TICKS, ticks_diff: "Callable[[int, int], int]" = since) -> "list[str]":
    """Play the steps, and return a description of each error. `ticks_diff` must fit ticks that wrap at `period`."""
    before = ticks.now, ticks.since
    world = World(period)
    ticks.now, ticks.since = world.now, ticks_diff
    try:
        return _Story(world).play(steps)
    finally:
        ticks.now, ticks.since = before


class _Story:
    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryStore()
        self.nonces = Nonces()
        self.wrong: list[str] = []
        self.asked: list[bytes] = []  # nonces that the courier has heard, from all boots
        self.answers: list[
            tuple[SignedTime, int]
        ] = []  # Signed times that the courier can repeat, each with its true time of signing.
        self.signed: list[int] = []  # The times at which the province has signed other statements.
        self.used: list[bytes] = []
        self.lowest = 0
        self.boot()

    def boot(self) -> None:
        self.asked_now: list[bytes] = []
        self.clock = Clock(self.nonces, self.store, LOCK_ID)  # type: ignore[arg-type]
        if self.clock.interval()[1] is not None:
            self.wrong.append("an upper end after a cold start")

    def play(self, steps: "list[Any]") -> "list[str]":
        honest = True
        for what, amount in steps:
            floor = self.persisted()
            if what == "ppm":
                self.world.ppm = amount
                honest = honest and -100 <= amount <= 100
            elif what == "run":
                self.world.pass_by(amount)
                self.clock.tick()
            elif what == "cut":
                self.world.pass_by(amount)
                self.lowest = floor
                self.boot()
            elif what == "ask":
                self.ask()
            elif what == "answer" and self.asked:
                # The province answers every nonce that it gets, with the current time.
                nonce = self.asked[amount % len(self.asked)]
                self.answers.append((SignedTime(nonce, self.world.true_ms // 1000, LOCK_ID), self.world.true_ms))
            elif what == "bring" and self.answers:
                self.bring(self.answers[amount % len(self.answers)][0])
            elif what == "sign":
                self.signed.append(self.world.true_ms // 1000)
            elif what == "tell" and self.signed:
                self.clock.later_than(self.signed[amount % len(self.signed)])
            elif what == "settle":
                self.clock.settle(self.world.true_ms // 1000 + amount)
            self.look(what, honest, floor)
        return self.wrong

    def persisted(self) -> int:
        return Clock(self.nonces, self.store, LOCK_ID).interval()[0]  # type: ignore[arg-type]

    def ask(self) -> None:
        nonce = self.clock.nonce()
        if nonce is not None and nonce not in self.asked_now:
            self.asked_now.append(nonce)
            self.asked.append(nonce)

    def bring(self, signed: SignedTime) -> None:
        current = signed.nonce in self.asked_now and signed.nonce not in self.used
        try:
            self.clock.accept(signed)
        except VerificationError as error:
            if error.code != "time.nonce":
                self.used.append(signed.nonce)
                if self.clock.interval()[1] is not None:
                    self.wrong.append(error.code + " left an upper end")
            elif current and signed.nonce == self.asked_now[-1]:
                self.wrong.append("the answer to the last question was not taken for one")
            return
        if not current:
            self.wrong.append("an answer was taken twice, or over a reboot")
        self.used.append(signed.nonce)
        earliest, latest = self.clock.interval()
        if earliest < signed.time or (latest is not None and latest < signed.time):
            self.wrong.append("the interval contradicts the answer just taken")

    def look(self, what: str, honest: bool, floor: int) -> None:
        earliest, latest = self.clock.interval()
        if earliest < self.lowest or self.persisted() < floor:
            self.wrong.append(what + ": the floor went back")
        self.lowest = earliest
        if honest and earliest * 1000 > self.world.true_ms:
            self.wrong.append(what + ": earliest is beyond the true time")
        if honest and latest is not None and latest * 1000 < self.world.true_ms:
            self.wrong.append(what + ": latest is before the true time")
