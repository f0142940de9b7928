"""Visits, and the block of heap that is kept free for visits, on the lock's own interpreter."""

from tests.support.on_lock import run_on_lock

_LITTERED = """
import gc
from firmware.memory.visits import SIZES, Visits
gc.collect()
visits = Visits()
if given:
    visits.keep_room()
litter = []
try:
    while True:
        litter.append(bytearray(3000))
        litter.append(bytearray(20))
except MemoryError:
    pass
for at in range(0, len(litter), 2):
    litter[at] = None
    litter[at] = bytearray(600)  # what stays between two visits: small, and all over the heap
while True:
    try:
        litter.append(bytearray(900))
    except MemoryError:
        break
visits.make_room()
try:
    found = len(bytearray(SIZES[0] - 64))
except MemoryError:
    found = 0
answer([SIZES[0] - 64, found])
"""


def test_a_read_finds_room_for_its_messages_on_a_littered_heap() -> None:
    wanted, found = run_on_lock(_LITTERED, True)
    assert found == wanted


def test_without_it_there_would_be_none() -> None:
    _, found = run_on_lock(_LITTERED, False)
    assert found == 0


def test_where_there_is_less_less_is_kept() -> None:
    source = """
import gc
from firmware.memory.visits import SIZES, SPARE, Visits
litter, rooms, at = [None] * 9000, [Visits(), Visits()], 0
short = 2 * (SPARE // 500 + 20)
while at < short:
    litter[at] = bytearray(500)
    litter[at + 1] = bytearray(20)
    at += 2
for piece in (SIZES[1] + 200, 64):
    try:
        while True:
            litter[at] = bytearray(piece)
            at += 1
    except MemoryError:
        pass
litter[short + 1] = None  # one long piece between two others
at = 0
while at < short:  # and short pieces, which stay free
    litter[at] = None
    at += 2
for room in rooms:
    room.keep_room()
    room.keep_room()
free = gc.mem_free()
litter = None
answer([[len(room._kept or b"") for room in rooms], free, list(SIZES), SPARE])
"""
    (some, less), free, sizes, spare = run_on_lock(source)
    assert some == sizes[1] > less
    assert free >= spare, "the link needs memory between visits too"


def test_nothing_is_kept_where_only_the_memory_that_the_link_needs_is_left() -> None:
    source = """
import gc
from firmware.memory.visits import SIZES, SPARE, Visits
litter, room = [], Visits()
while gc.mem_free() > SPARE + SIZES[-1]:
    litter.append(bytearray(512))
room.keep_room()
answer([len(room._kept or b""), gc.mem_free(), SIZES[-1], SPARE])
"""
    kept, free, shortest, spare = run_on_lock(source)
    assert kept == 0 and shortest < free <= spare + shortest


def test_a_visit_has_the_room_until_it_ends_whoever_comes_in_between() -> None:
    source = """
from firmware.memory.visits import SIZES, Visits
visits, seen = Visits(), []
def look():
    seen.append([visits.going_on, len(visits._kept or b"")])
visits.keep_room()
look()
first = visits.begin()
look()
second = visits.begin()
visits.end()
look()
visits.make_room()
visits.keep_room()
look()
visits.end()
look()
answer([first, second, seen, SIZES[0]])
"""
    first, second, seen, size = run_on_lock(source)
    assert (first, second) == (True, False)
    assert seen == [[0, size], [1, 0], [1, 0], [1, 0], [0, size]]
