"""The piece of heap that is kept for a read, on the lock's own interpreter."""

from tests.on_lock import run_on_lock

_LITTERED = """
import gc
from firmware.room import Room, SIZES
gc.collect()
room = Room()
if given:
    room.keep()
litter = []
try:
    while True:
        litter.append(bytearray(3000))
        litter.append(bytearray(20))
except MemoryError:
    pass
for at in range(0, len(litter), 2):
    litter[at] = bytearray(600)  # what stays between two visits: small, and all over the heap
while True:
    try:
        litter.append(bytearray(900))
    except MemoryError:
        break
room.give()
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


def test_where_there_is_less_less_is_kept_and_where_there_is_none_nothing_fails() -> None:
    source = """
import gc
from firmware.room import Room, SIZES
litter, rooms = [], []
for piece in (SIZES[1] + 200, 64):
    try:
        while True:
            litter.append(bytearray(piece))
    except MemoryError:
        pass
    if piece > 64:
        litter.pop()
    rooms.append(Room())
    rooms[-1].keep()
    rooms[-1].keep()
litter = None
answer([[len(room._kept or b"") for room in rooms], list(SIZES)])
"""
    (some, none), sizes = run_on_lock(source)
    assert some in sizes[1:] and none == 0
