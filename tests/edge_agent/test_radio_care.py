"""A stuck BlueZ is mended by itself, but not because locks are out of reach. Time is virtual."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from edge_agent import discovery
from edge_agent.lock_connection import StuckError, _calling
from edge_agent.radio_care import SIGNS, STUCK_SECONDS, RadioCare
from protocol.errors import TransportError
from tests.support import virtual_time
from tests.support.scripted_radio import Ether

HOUR = 3600.0


class Bench:
    """The care of a radio whose repairs are only counted. With `fails`, each repair fails."""

    def __init__(self, fails: bool = False) -> None:
        self.restarts: list[float] = []
        self.forgotten: list[str] = []
        self.mended = 0
        self._fails = fails
        self.care = RadioCare(self._on_mended, self._restart, self._forget)

    def _on_mended(self) -> None:
        self.mended += 1

    async def _restart(self) -> list[str]:
        self.restarts.append(asyncio.get_running_loop().time())
        if self._fails:
            raise TransportError("radio.not_mended", "no")
        return ["/org/bluez/hci0"]

    async def _forget(self, address: str) -> list[str]:
        self.forgotten.append(address)
        if self._fails:
            raise TransportError("radio.not_mended", "no")
        return [address]


def told(bench: Bench, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def world() -> None:
        running = asyncio.ensure_future(bench.care.run())
        await story()
        assert not running.done()
        running.cancel()

    virtual_time.run(world())


@pytest.mark.parametrize("fails", [False, True])
def test_an_adapter_that_stays_stuck_is_switched_off_and_on_less_and_less_often(fails: bool) -> None:
    bench = Bench(fails)

    async def story() -> None:
        for _ in range(int(24 * HOUR / 60)):
            await asyncio.sleep(60)
            bench.care.note_stuck()

    told(bench, story)
    assert STUCK_SECONDS <= bench.restarts[0] <= STUCK_SECONDS + 20
    waits = [later - before for before, later in zip(bench.restarts, bench.restarts[1:], strict=False)]
    assert len(bench.restarts) == bench.mended and 600 <= waits[0] <= 1220 and 2 < len(waits) < 15
    assert max(waits) > 3 * waits[0]


def test_without_signs_or_while_a_lock_answers_the_adapter_stays_on() -> None:
    quiet, busy = Bench(), Bench()

    async def silence() -> None:
        for _ in range(SIGNS - 1):
            quiet.care.note_stuck()
        await asyncio.sleep(24 * HOUR)

    async def answers() -> None:
        for _ in range(int(HOUR)):
            await asyncio.sleep(1)
            busy.care.note_stuck()
            if asyncio.get_running_loop().time() % 200 < 1:
                busy.care.note_answer()

    told(quiet, silence)
    told(busy, answers)
    assert quiet.restarts == busy.restarts == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_device_with_old_services_is_forgotten_at_most_once_an_hour(fails: bool) -> None:
    bench = Bench(fails)

    async def story() -> None:
        for _ in range(119):
            bench.care.note_stale("F0:00:00:00:00:01")
            await asyncio.sleep(60)

    told(bench, story)
    assert bench.forgotten == ["F0:00:00:00:00:01"] * 2 and bench.restarts == []


def test_a_scan_that_never_returns_ends_in_time() -> None:
    async def story() -> None:
        ether = Ether()
        ether.scan_hangs = True
        with ether.installed(), pytest.raises(TransportError, match=r"radio\.unavailable"):
            await discovery.discover(10.0)

    virtual_time.run(story())


def test_only_a_stack_that_says_so_counts_as_stuck() -> None:
    with pytest.raises(StuckError), _calling("lock.unreachable"):
        raise OSError("org.bluez.Error.InProgress")
    with pytest.raises(TransportError) as caught, _calling("lock.unreachable"):
        raise TimeoutError
    assert not isinstance(caught.value, StuckError)
