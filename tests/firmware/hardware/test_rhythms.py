"""Everybody can tell the signals apart: without colour, without sound, and by sound alone. No signal flashes too
quickly. docs/door-signals.md says why people notice even the smallest difference between two signals.
"""

import asyncio
from collections.abc import Callable
from itertools import combinations, pairwise, permutations

import pytest

from tests.support import pn532_scene as scene
from tests.support.panel import Change, Panel, rhythm

SILENT = {"idle", "obstructed"}
"""The signals of a door that waits. No sound is promised for these signals."""
NAMES = (
    *("idle", "obstructed", "reading", "ask", "allowed", "refused_stay", "refused_document", "refused_phone"),
    *("again", "busy", "fault"),
)
STATES = ("idle", "obstructed", "reading", "ask", "fault")
"""Signals that are shown until the next signal. `fault` is an answer as well."""
LONGER = 3.0
"""If two beats count as different, this is the smallest ratio of their lengths (ITU-R M.1677-1: a dash is three dots).
"""
SEEN_AT_ONCE, MANY = 3, 5
"""People see at a glance how many beats there are, up to SEEN_AT_ONCE (Trick and Pylyshyn 1994: up to four). A number
of beats above MANY is "many".
"""
FLASHES = 3
"""Largest number of flashes in any one second (WCAG 2.2, 2.3.1)."""

Rhythm = tuple[int, ...]
Shown = dict[str, tuple[list[Change], list[Change]]]


@pytest.fixture
def shown(panel: Callable[[], Panel]) -> Shown:
    """For each signal, return what the pins of light and buzzer did in the signal's first seven seconds."""
    found: Shown = {}

    async def story() -> None:
        for name in NAMES:
            here = panel()
            say = here.signals.show if name in STATES else here.signals.answer
            found[name] = await here.watched(7, lambda say=say, name=name: say(name))  # type: ignore[misc]

    scene.run(story())
    return found


def differ(one: Rhythm, other: Rhythm) -> bool:
    """Can every person tell these rhythms apart?"""
    if len(one) != len(other):
        return all(len(each) <= SEEN_AT_ONCE or len(each) > MANY for each in (one, other))
    return any(max(pair) >= LONGER * min(pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("one", "other", "different"),
    [
        ((200,), (600,), True),
        ((200,), (599,), False),
        ((200, 600), (600, 200), True),
        ((200, 200), (200, 200, 200), True),
        ((200,) * 3, (200,) * 4, False),
        ((200,) * 3, (200,) * 6, True),
        ((), (200,), True),
        ((), (), False),
    ],
)
def test_what_counts_as_different(one: Rhythm, other: Rhythm, different: bool) -> None:
    assert differ(one, other) == different == differ(other, one)


def test_no_two_signals_look_alike_without_their_colours(shown: Shown) -> None:
    seen = {name: rhythm(light) for name, (light, _) in shown.items()}
    assert [pair for pair in combinations(NAMES, 2) if not differ(seen[pair[0]], seen[pair[1]])] == []
    assert seen["idle"] == () and seen["reading"] == (7000,), "dark, and steady"


def test_the_three_reds_are_one_two_and_three_long_flashes(shown: Shown) -> None:
    reds = [rhythm(shown["refused_" + which][0]) for which in ("stay", "document", "phone")]
    assert reds == [(600,), (600, 600), (600, 600, 600)]


def test_no_two_signals_sound_alike_even_to_somebody_who_hears_no_pitch(shown: Shown) -> None:
    heard = {name: rhythm(tone) for name, (_, tone) in shown.items() if name not in SILENT}
    assert [name for name, beats in heard.items() if not beats] == [], "every signal but those of rest has a tone"
    assert [pair for pair in combinations(heard, 2) if not differ(heard[pair[0]], heard[pair[1]])] == []
    assert [name for name in SILENT if any(hertz for _, hertz in shown[name][1])] == []


def test_the_tone_of_a_signal_that_blinks_has_the_rhythm_of_its_light(shown: Shown) -> None:
    blinking = [name for name in NAMES if name not in {*SILENT, "reading"}]
    assert [name for name in blinking if rhythm(shown[name][0]) != rhythm(shown[name][1])] == []


def test_that_the_door_reads_is_heard_at_once_and_once(shown: Shown) -> None:
    tone = shown["reading"][1]
    assert [hertz for _, hertz in tone] == [880, 0, None] and tone[0][0] == 0


def flashes(changes: list[Change]) -> int:
    """Return the largest number of flashes in any one second. A flash is a pair of opposing changes of the light."""
    times = [at for (_, before), (at, after) in pairwise(changes) if after is not None and before != after]
    return max((sum(at <= time < at + 1000 for time in times) // 2 for at in times), default=0)


def test_no_light_flashes_more_than_three_times_in_any_second_even_where_one_signal_cuts_another_short(
    shown: Shown,
) -> None:
    dark = (-10000, (0, 0, 0))
    assert {name for name, (light, _) in shown.items() if flashes([dark, *light]) > 2} == set()
    for one, other in permutations(NAMES, 2):
        first, second = shown[one][0], shown[other][0]
        for cut in range(0, 5000, 100):
            kept = [change for change in first if change[0] < cut]
            both = [dark, *kept, *((at + cut, state) for at, state in second)]
            assert flashes(both) <= FLASHES, (one, other, cut)


def test_that_three_flashes_a_second_are_counted_as_three_and_four_as_four() -> None:
    def quick(period: int) -> list[Change]:
        return [(at, (at // (period // 2) % 2,) * 3) for at in range(0, 3000, period // 2)]

    assert flashes(quick(340)) == 3 and flashes(quick(250)) == 4


def test_an_open_door_is_lit_and_heard_in_the_same_moment_and_seen_without_colour_in_a_third_of_a_second(
    panel: Callable[[], Panel],
) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show("reading")
        await asyncio.sleep(5)
        light, tone = await here.watched(4, lambda: here.signals.answer("allowed"))
        assert light[0] == (0, (0, 1, 0)) and tone[0] == (0, 1760)
        assert next(at for at, state in light if state == (0, 0, 0)) < 334, "the light was steady before"
        assert sum(rhythm(light)) + 6 * 300 == 3000, "as long as the strike is open"

    scene.run(story())


def test_a_beat_that_the_lock_stretches_for_half_a_second_does_not_make_one_refusal_look_like_another(
    shown: Shown,
) -> None:
    reds = [rhythm(shown["refused_" + which][0]) for which in ("stay", "document", "phone")]
    for one, other in permutations(reds, 2):
        for place in range(len(one)):
            stretched = tuple(beat + 500 * (at == place) for at, beat in enumerate(one))
            assert differ(stretched, other)
