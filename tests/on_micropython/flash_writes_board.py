"""Run by MicroPython. Counts the bytes that openings write to flash, in records, marks of receipts and littlefs files.

Arguments: the number of openings, the number of openings between two receipts, the hours between two openings, and the
number of sectors of the journal's partition. Prints one line of JSON.
"""

import gc
import json
import sys

from sim.board.memory_flash import SECTOR
from tests.on_micropython.power_cut_story import Story, clock


def main(openings: int, every: int, hours: float, sectors: int) -> None:
    """Let guests open the door. Every fourth opening is the check-in of a new guest, until there are eight guests."""
    getattr(gc, "threshold")(4 << 20)  # noqa: B009  images larger than the lock's heap, which is not measured here
    story = Story(sectors)
    story.tell_time()
    story.take_grant(1)
    story.rest()
    del story.log[:]
    first = story.lock.journal.next_counter
    for number in range(1, openings + 1):
        clock[0] += int(hours * 3_600_000)
        story.lock.tick()
        if number % 4 == 1 and story.guests < 8:
            story.check_in()
        else:
            story.enter()
        story.rest()
        if number % every == 0:
            story.receipt(0)
            story.rest()
    records = sum(len(data) for number, data, _ in story.all_records() if number >= first)
    answer = {"records": len(story.kept) - first + 1, "record_bytes": records, "sector": SECTOR}
    for number, name in enumerate(("littlefs", "journal")):
        sizes = [None if data is None else len(data) for partition, _, data in story.log if partition == number]
        answer[name + "_programmed"] = sum(size for size in sizes if size is not None)
        answer[name + "_erased"] = sum(1 for size in sizes if size is None)
    print("\x02" + json.dumps(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
