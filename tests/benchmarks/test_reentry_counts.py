"""The lock's cost for each way to come back into the room: point multiplications, and commands on the air."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.counting import CountingCrypto
from tests.support.doorway import Doorway

MULTIPLICATIONS = {"verify": 2, "sign": 1, "generate": 1, "ecdh": 1, "public": 1}
"""Number of multiplications of a point by a scalar in each function. The two multiplications of a verification are done
together, and cost as much as about 1.25 multiplications."""


def multiplications(calls: Counter[str]) -> int:
    """Return the number of multiplications in all these calls."""
    return sum(times * calls[name] for name, times in MULTIPLICATIONS.items())


@pytest.mark.bench
def test_the_cost_of_coming_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = CountingCrypto()
    doorway = Doorway(tmp_path, monkeypatch, counting)
    guest = doorway.visitor()
    booking = doorway.book(guest)
    rows = []

    def visit(name: str, come: Any, idle: int, by_phone: bool = True) -> None:
        doorway.run(3600)  # An entry within the hour would be counted instead of recorded.
        doorway.lock.commitment_keys.of(doorway.platform.public)  # Once after each boot.
        counting.calls.clear()
        come()
        assert doorway.opened()
        commands = len(doorway.card.exchanges) if by_phone else 0
        whole = multiplications(counting.calls)
        rows.append((name, commands, counting.calls["verify"], whole, whole - idle))

    # `idle` is the number of multiplications that are done while the door is idle. To encapsulate the record, the lock
    # makes a key with one multiplication, and computes an ECDH with another. If a document is shown, the lock also
    # makes the key of the session.
    visit("check-in", lambda: doorway.tap(guest.phone), 3)
    doorway.reboot()
    visit("ID, after a power cut", lambda: doorway.tap(guest.plain_phone), 3)
    visit("ID again, short path", lambda: doorway.tap(guest.plain_phone), 3)
    visit("stay key", lambda: doorway.tap(guest.phone), 2)
    visit("PIN", lambda: doorway.enter(doorway.platform.pin(booking, guest.named)), 2, by_phone=False)
    print(f"\n{'coming back':<24}{'commands':>9}{'signatures':>11}{'multiplications':>16}{'of them at the tap':>19}")
    for name, commands, verified, whole, then in rows:
        print(f"{name:<24}{commands:>9}{verified:>11}{whole:>16}{then:>19}")
    by_name = {row[0]: row for row in rows}
    assert by_name["ID again, short path"][2] == by_name["ID, after a power cut"][2] - 2
    assert by_name["stay key"][2] == by_name["PIN"][2] == 0
    assert by_name["stay key"][3:] == by_name["PIN"][3:] == (3, 1)
