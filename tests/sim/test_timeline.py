"""The timeline shows each cause before its effect, even if the reports of a channel come late."""

import asyncio
import io
import random
import threading
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from rich.console import Console

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim import timeline
from sim.board.bus import BoardEvent
from sim.phone.stay_key import StayKeys
from sim.progress import WIDTH, Progress
from sim.scenarios import perform
from sim.scenarios.story import Script, Story
from sim.shown import Signal, paused, signals
from sim.timeline import Moment, in_order, table
from sim.words import phrase

CHAIN = ("tap", "decided", "durable", "stored", "sent", "committed", "receipt")


def moment(name: str, at: float, *after: str) -> Moment:
    return Moment(name, at, "lock", phrase(name), after=list(after))


def test_an_effect_comes_after_its_cause_even_if_it_was_heard_of_first() -> None:
    said = [moment("heard late", 5.0, "cause"), moment("effect", 2.0, "heard late"), moment("cause", 1.0)]
    assert [(each.name, each.at) for each in in_order(said)] == [("cause", 1.0), ("heard late", 2.0), ("effect", 2.0)]


def test_no_duration_is_negative_and_no_order_depends_on_arrival() -> None:
    chance = random.Random(3)
    for _ in range(50):
        said = [moment(name, chance.random(), *CHAIN[max(0, place - 1) : place]) for place, name in enumerate(CHAIN)]
        chance.shuffle(said)
        told = in_order(said)
        assert [each.name for each in told] == list(CHAIN)
        assert all(later.at >= earlier.at for earlier, later in pairwise(told))


def test_what_did_not_follow_from_each_other_is_told_by_time() -> None:
    for three in permutations([moment("a", 1.0), moment("b", 2.0), moment("c", 3.0)]):
        assert [each.name for each in in_order(list(three))] == ["a", "b", "c"]


def event(ticks: int, **facts: object) -> BoardEvent:
    return BoardEvent(0, ticks, facts)


def lit(ticks: int, *levels: int) -> list[BoardEvent]:
    """Return the reports of the three pins of the light, as the lock writes them."""
    return [event(ticks, pin=pin, value=level) for pin, level in zip(pins.LIGHTS, levels, strict=True)]


def beat(ticks: int, hertz: int, *levels: int) -> list[BoardEvent]:
    """Return the reports of one beat of light and tone, and of the darkness after the beat."""
    on, off = ({"pwm": pins.BUZZER, "freq": hertz, "duty": duty} for duty in (32768, 0))
    return [*lit(ticks, *levels), event(ticks + 1, **on), event(ticks + 600, **off), *lit(ticks + 600, 0, 0, 0)]


RED_TWICE = [*lit(1, 0, 0, 1), *beat(2, 220, 1, 0, 0), *beat(902, 220, 1, 0, 0)]
PAUSE = lit(1800, 0, 0, 0)


def test_a_signal_is_what_board_lit_and_sounded() -> None:
    once = beat(5000, 220, 1, 0, 0)
    assert [str(each) for each in signals(RED_TWICE)] == ["red light, 220 Hz twice"]
    assert signals([*RED_TWICE, *PAUSE, *once]) == [Signal("red", 220, 2), Signal("red", 220, 1)]
    assert signals([*RED_TWICE, *beat(1800, 440, 1, 1, 0)])[1:] == [Signal("amber", 440, 1)]
    assert signals(RED_TWICE, since=700) == [Signal("red", 220, 1)] and signals(RED_TWICE, since=1504) == []


def test_the_dark_between_two_beats_is_not_the_end_of_a_signal() -> None:
    assert not paused(RED_TWICE) and not paused([*RED_TWICE, *PAUSE, *lit(5000, 1, 0, 0)])
    assert paused([*RED_TWICE, *PAUSE])


class Screen(io.StringIO):
    """Keeps all printed text, and sets `shown` once this text contains `word`."""

    def __init__(self, word: str = "") -> None:
        super().__init__()
        self.word = word
        self.shown = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.word in self.getvalue():
            self.shown.set()
        return written

    def console(self, terminal: bool = False) -> Console:
        return Console(file=self, width=WIDTH, force_terminal=terminal, highlight=False)


@pytest.mark.parametrize("terminal", [False, True])
def test_what_takes_long_is_told_on_a_terminal_and_in_a_pipe(terminal: bool) -> None:
    screen = Screen("the broker comes back, 0 s")
    with Progress(screen.console(terminal), every=0) as progress:
        progress.waiting("the broker comes back")
        assert screen.shown.wait(60)
        progress.print("it is back")
    assert "it is back" in screen.getvalue() and ("\x1b" in screen.getvalue()) == terminal


def test_a_long_line_goes_on_below_its_beginning_and_is_not_cut() -> None:
    screen = Screen()
    said = "✓ " + " ".join(["it"] * 20 + ["林晓梅"] * 20)
    with Progress(screen.console()) as progress:
        progress.step(said)
    lines = screen.getvalue().splitlines()
    assert len(lines) > 2 and all(line.startswith("    ") for line in lines[1:])
    assert "".join(screen.getvalue().split()) == "".join(said.split())


def test_the_table_cuts_nothing_off_at_eighty_columns() -> None:
    long = "signed receipt on its way back: mooring/1/" + "e" * 40 + "/receipt"
    screen = Screen()
    screen.console().print(table([moment("tap", 0), Moment("x", 1.5, "province", phrase(long), took=1234.5)]))
    assert "…" not in screen.getvalue()
    assert "".join(line.split("│")[2].strip() for line in screen.getvalue().splitlines()[3:]).replace(" ", "") == (
        long.replace(" ", "")
    )


def test_a_check_in_is_told_in_the_same_order_however_late_each_channel_is() -> None:
    told: list[list[str]] = []
    times: list[list[float]] = []

    async def play(script: Script) -> None:
        site, door, edge = script.site, script.door, script.edge
        guest = site.visitor()
        await door.bookings.book(guest)
        tap = await door.tap(guest)
        script.let_in(tap, "the door opened")
        await door.settle(1)
        await site.until("the edge forgets", lambda: bool(edge.events("receipt.accepted")))

        def tell() -> None:
            said = timeline.moments(site, door, tap)
            told.append([each.name for each in said])
            times.append([each.at for each in said])

        tell()
        site.wiretap.heard = [replace(each, at=each.at + 9) for each in site.wiretap.heard]
        tell()
        begun = door.lock.console.index(tap.console[0])
        for at, line in enumerate(door.lock.console[begun:], begun):
            door.lock.console[at] = replace(line, at=line.at + 9)
        tap.console[:] = door.lock.console[begun : begun + len(tap.console)]
        tell()

    result = asyncio.run(perform(Story("told", "what happened", play), runtime="cpython"))
    assert result.ok, (result.promises, result.error)
    assert told[0] == [
        *("phone.tap", "nfc.engaged 1"),
        *("mdoc.session 1", "phone.asked 1", "phone.answered 1", "mdoc.response 1"),
        *("mdoc.session 2", "phone.asked 2", "phone.answered 2", "mdoc.response 2"),
        *("mdoc.verified 1", "door.decided 1", "record.sealed 1", "durable", "opened"),
        *("edge.stored", "up", "committed", "receipt", "edge.accepted", "journal.receipted 1"),
    ]
    assert told == [told[0]] * 3
    assert all(at <= then for one in times for at, then in pairwise(one))
    assert result.phases_ms["open_to_receipt"] > 0


def test_a_phone_proves_its_stay_key_after_it_was_asked_and_before_the_lock_decides() -> None:
    told: list[list[str]] = []

    async def play(script: Script) -> None:
        site, door = script.site, script.door
        guest = site.visitor()
        guest.phone.stay_keys = StayKeys()
        await door.bookings.book(guest)
        script.let_in(await door.tap(guest), "the guest checks in")
        again = await door.tap(guest)
        script.let_in(again, "the phone opens by its stay key")
        await door.settle(2)
        told.append([each.name for each in timeline.moments(site, door, again)])

    result = asyncio.run(perform(Story("told", "what happened", play), runtime="cpython"))
    assert result.ok, (result.promises, result.error)
    assert told[0][:4] == ["phone.tap", "stay-key.tried 1", "phone.recognized", "door.decided 1"]


def test_a_refused_tap_is_told_to_its_refusal_and_each_look_before_only_lacks_moments() -> None:
    looks: list[list[str]] = []

    async def play(script: Script) -> None:
        site, door = script.site, script.door

        def look() -> None:
            for tap in door.going_on():
                looks.append([each.name for each in timeline.moments(site, door, tap)])

        loop = asyncio.get_running_loop()

        def rung() -> None:
            loop.call_soon_threadsafe(look)

        with site.bell.heard_by(rung):
            tap = await door.tap(site.visitor())
        script.refused(tap, "a stranger is refused", "grant.none")
        said = timeline.moments(site, door, tap)
        assert [each.name for each in said][-1] == "tap.refused 1" and timeline.complete(said)
        assert "grant.none" in str(said[-1].what) and timeline.counter(door, tap) is None
        assert door.going_on() == [] and site.bell is not None
        assert set(looks[-1]) == {each.name for each in said}

    result = asyncio.run(perform(Story("told", "what happened", play), runtime="cpython"))
    assert result.ok, (result.promises, result.error)
    assert looks[0] in (["phone.tap"], []) and len({len(look) for look in looks}) > 5
    assert all(set(earlier) <= set(later) for earlier, later in pairwise(looks))


def test_an_outage_is_told_where_the_record_waits_for_its_end() -> None:
    async def play(script: Script) -> None:
        site, door, edge = script.site, script.door, script.edge
        guest = site.visitor()
        await door.bookings.book(guest)
        await asyncio.to_thread(site.broker.stop)
        tap = await door.tap(guest)
        script.let_in(tap, "the door opened")
        await site.until("the edge has it", lambda: bool(edge.events("record.stored")))
        waiting = timeline.moments(site, door, tap)
        assert [each.name for each in waiting][-2:] == ["edge.stored", "edge.waits"] and not timeline.complete(waiting)
        await asyncio.to_thread(site.broker.start)
        await door.settle(1)
        await site.until("the edge forgets", lambda: bool(edge.events("receipt.accepted")))
        said = timeline.moments(site, door, tap)
        told = [each.name for each in said if each.name not in ("up", "receipt")]  # the wiretap may miss these two
        assert told[-6:] == [
            *("edge.stored", "edge.waits", "edge.back"),
            *("committed", "edge.accepted", "journal.receipted 1"),
        ]
        assert all(earlier.at <= later.at for earlier, later in pairwise(said)) and timeline.complete(said)

    result = asyncio.run(perform(Story("told", "what happened", play), runtime="cpython"))
    assert result.ok, (result.promises, result.error)
