"""The Wiegand keypad on the real interpreter: the codes in the makers' documents are read as keys, and noise is not."""

from typing import Any

import pytest

from sim.board.keypad import WiegandKeypad
from tests.support.on_lock import run_on_lock

# The 8-bit mode in the installation guide of HID's keypads. A code is the complement of the key, followed by the key.
PUBLISHED = {
    "0": "11110000", "1": "11100001", "2": "11010010", "3": "11000011", "4": "10110100", "5": "10100101",
    "6": "10010110", "7": "10000111", "8": "01111000", "9": "01101001", "*": "01011010", "#": "01001011",
}  # fmt: skip

ON_LOCK = """
import asyncio
from firmware.hardware import keypad, ticks
keypad.DEAF_MS = 50
time = [0]
ticks.now = lambda: time[0]
ticks.since = lambda later, earlier: later - earlier
pad = keypad.Keypad(22, 23)

def pulse(bits):
    for bit in bits:
        pin = pad._one if bit == "1" else pad._zero
        pin.set_from_outside(0)
        pin.set_from_outside(1)
        time[0] += 2

listened = []
async def play():
    codes = []
    async def collect():
        while True:
            codes.append(await pad.code())
    collecting = asyncio.create_task(collect())
    for step in given:
        if isinstance(step, str):
            pulse(step)
        elif step == -1:
            keypad.PAUSE_MS = 1
        elif step == -2:
            listened.append(pad._zero._handler is not None)
            await asyncio.sleep(0.1)
            listened.append(pad._zero._handler is not None)
        elif step == 0:
            await asyncio.sleep(0.01)
            keypad.PAUSE_MS = 10000
        else:
            time[0] += step
        for _ in range(30):
            await asyncio.sleep(0)
    collecting.cancel()
    return codes
answer([asyncio.run(play()), listened])
"""


def typed(keys: str) -> list[str | int]:
    """Return the bits of `keys`, with the pauses of somebody who types."""
    return [step for key in keys for step in (PUBLISHED[key], 200)]


def codes(*steps: str | int) -> Any:
    return played(*steps)[0]


def played(*steps: str | int) -> Any:
    """Play `steps` on the wires. Return the codes that the lock read, and whether it listened to the wires.

    A step of -2 is a rest. For each rest, the second list says whether the lock listened before the rest and after it.
    """
    return run_on_lock(ON_LOCK, list(steps))


def test_every_key_is_read_as_its_makers_document_it() -> None:
    assert codes(*typed("1234567890#")) == ["1234567890"]


def test_the_stand_in_sends_what_makers_document() -> None:
    class Board:
        def __init__(self) -> None:
            self.sent = ""

        def set_input(self, pin: int, value: int) -> None:
            if value == 0:
                self.sent += str(pin)

    for key, bits in PUBLISHED.items():
        board = Board()
        WiegandKeypad(board, 0, 1).press(key)  # type: ignore[arg-type]  # it needs only this of a board
        assert board.sent == bits


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("12*34#", ["34"]),
        ("###1#", ["1"]),
        ("12#34#", ["12", "34"]),
        ("*#", []),
        ("1234", []),
        ("1" * 40 + "#", ["1" * 16]),
    ],
)
def test_a_star_clears_and_a_hash_confirms(keys: str, expected: list[str]) -> None:
    assert codes(*typed(keys)) == expected


def test_keys_that_come_in_one_rush_are_all_read() -> None:
    assert codes("".join(PUBLISHED[key] for key in "12345678#")) == ["12345678"]


def test_a_lost_pulse_costs_its_key_and_nothing_after_the_pause() -> None:
    for lost in range(8):
        bits = PUBLISHED["5"]
        assert codes(*typed("1"), bits[:lost] + bits[lost + 1 :], 200, *typed("2#")) == ["12"]


def test_a_burst_with_a_wrong_bit_or_of_another_format_is_passed_over() -> None:
    flipped = ["10100101"[:n] + ("1" if "10100101"[n] == "0" else "0") + "10100101"[n + 1 :] for n in range(8)]
    for noise in (*flipped, "00001100", "0" * 26, "1" * 34):
        assert codes(*typed("1"), noise, 200, *typed("2#")) == ["12"]


def test_what_was_typed_and_left_is_cleared() -> None:
    assert codes(*typed("1"), -1, *typed("2"), 0, *typed("34#")) == ["34"]


def test_wires_that_are_pulsed_without_a_pause_are_not_listened_to_for_a_while() -> None:
    assert played("10" * 200, -2, *typed("12#")) == [["12"], [False, True]]
    assert played("1" * 256, 200, "1" * 256, 200, *typed("12#")) == [["12"], []]
