"""An empty home costs the door the same work as an occupied home. A stranger learns nothing from the work."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.door import policy
from firmware.door.reentry import Reentry
from firmware.memory.stays import MAX_STAYS
from protocol import stay_key
from protocol.errors import RefusedError
from sim.phone.stay_key import StayKeys
from sim.platform import Guest, Platform
from tests.support import placed_lock, tap
from tests.support.counting import CountingCrypto, Work
from tests.support.door_bench import PLATFORM, Bench
from tests.support.doorway import Doorway
from tests.support.placed_lock import LISTING

HOUSES = {
    "nobody has booked": [],
    "a stay of which nobody has come": [(1, 0)],
    "one guest": [(1, 1)],
    "four guests": [(4, 4)],
    "32 guests": [(32, 32)],
    "half of those who booked": [(8, 4)],
    "sixteen stays": [(2, 2)] + [(2, 0)] * (MAX_STAYS - 1),
    "two platforms": [(1, 1), (1, 1)],
}
STRANGER = Guest("NOBODY-1", "1991-01-01", name="No One")
OLD_PLATFORM = Platform()


class House(Bench):
    """A door whose cryptography counts its calls.

    `stays` holds two numbers for each stay: how many guests the grant names, and how many of them have checked in.
    """

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, stays: list[tuple[int, int]], admits: str = "named"
    ) -> None:
        self.counting = CountingCrypto()
        super().__init__(folder, monkeypatch, self.counting)
        platforms = [PLATFORM] * len(stays)
        if stays == HOUSES["two platforms"]:
            platforms[0] = OLD_PLATFORM
        for number, (named, inside) in enumerate(stays):
            self.place(admits=admits, platform=platforms[number].public)
            guests = [Guest(f"G{number}-{n}", "1990-03-07", name=f"Guest {n} of {number}") for n in range(named)]
            booking = platforms[number].book(
                self.lock.identity.public, LISTING, self.now - 99 + number, self.now + 86400, guests
            )
            assert self.lock.deliver(platforms[number].grant(booking)) == ("grant", None)
            for guest in guests[:inside]:
                assert isinstance(self.come(guest, stay_key=self.counting.random(32)), dict)
                self.receipt(self.now)
        self.place(admits=admits, platform=PLATFORM.public)
        self.reboot()
        self.tell_time(self.now)
        self.work = Work(self.counting)

    def judges(self, guest: Guest, code: str) -> dict[str, int]:
        """Return the work of refusing somebody who shows the document of `guest`."""

        def act() -> None:
            with pytest.raises(RefusedError) as refused:
                self.door._decide([claim])
            assert refused.value.code == code

        claim = self.claim(guest)
        return self.work.of(act)

    def types(self, pin: str) -> dict[str, int]:
        """Return the work for a PIN that no guest has. This try is the first after a boot."""

        def act() -> None:
            with pytest.raises(RefusedError, match=r"pin\.wrong"):
                asyncio.run(self.lock.reentry.by_pin(pin))

        return self.work.of(act)

    def meets(self, app: StayKeys) -> dict[str, int]:
        """Return the work for a phone that has only stay keys of other doors."""
        _, card = tap.touch(tap.phone(stay_keys=app))

        def act() -> None:
            assert asyncio.run(self.lock.reentry.by_key(card)) == []

        return self.work.of(act)


Build = Callable[..., House]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    def made(name: str, admits: str = "named") -> House:
        return House(tmp_path / name, monkeypatch, HOUSES[name], admits)

    for name in HOUSES:
        (tmp_path / name).mkdir()
    return made


def foreign_keys() -> StayKeys:
    app = StayKeys()
    for number in range(3):
        app.add(bytes((number,)) * 32)
    return app


def counts(build: Build, does: Callable[[House], dict[str, int]], *names: str) -> dict[str, dict[str, int]]:
    """Call the function `does` with the empty house and with each house in `names`. Return the counts. If there are no
    `names`, use all houses.
    """
    return {name: does(build(name)) for name in HOUSES if name in ("nobody has booked", *(names or HOUSES))}


def all_alike(found: dict[str, dict[str, int]]) -> bool:
    return all(each == found["nobody has booked"] for each in found.values())


def test_a_stranger_with_a_good_document_costs_the_same_whoever_is_in(build: Build) -> None:
    found = counts(build, lambda house: house.judges(STRANGER, "grant.none"))
    assert all_alike(found), found
    assert found["one guest"]["hmac_sha256"] == 4 * MAX_STAYS + 2 and "ecdh" not in found["one guest"]


def test_a_stranger_at_a_house_for_walk_ins_that_takes_nobody_just_now_costs_no_other_cryptography(
    build: Build,
) -> None:
    walk_in = {name: build(name, "walk-in") for name in ("nobody has booked", "one guest", "four guests")}
    found = {name: house.judges(STRANGER, "grant.none") for name, house in walk_in.items()}
    assert all_alike(found), found


def test_a_guest_of_next_week_learns_nothing_of_who_is_in_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = []
    for number, stays in enumerate(([], [(1, 1)], [(4, 4)], [(32, 32)])):
        (tmp_path / str(number)).mkdir()
        house = House(tmp_path / str(number), monkeypatch, stays)
        mine = PLATFORM.book(house.lock.identity.public, LISTING, house.now + 9999, house.now + 86400, [STRANGER])
        assert house.lock.deliver(PLATFORM.grant(mine)) == ("grant", None)
        work.append(house.judges(STRANGER, "grant.early"))
    assert work[1:] == work[:-1], work


def test_a_minor_who_comes_before_the_adults_learns_nothing_of_whether_a_stay_expects_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minor = Guest("NOBODY-2", "2015-01-01", name="Small One")
    cryptography = []
    for stays in range(3):
        (tmp_path / str(stays)).mkdir()
        house = House(tmp_path / str(stays), monkeypatch, [])
        for _ in range(stays):
            booking = PLATFORM.book(
                house.lock.identity.public, LISTING, house.now - 99, house.now + 86400, [STRANGER, minor]
            )
            assert house.lock.deliver(PLATFORM.grant(booking)) == ("grant", None)
        work = house.judges(minor, "grant.guardian" if stays else "grant.none")
        cryptography.append({name: count for name, count in work.items() if name != "steps"})
    assert cryptography[0] == cryptography[1] == cryptography[2], cryptography


def test_a_wrong_pin_costs_the_same_whoever_is_in_also_the_first_after_a_boot(build: Build) -> None:
    found = counts(build, lambda house: house.types("00000000"))
    assert all_alike(found), found
    assert found["32 guests"]["hmac_sha256"] == 1 and "ecdh" not in found["32 guests"]


def test_a_phone_with_keys_of_other_doors_costs_the_same_whoever_is_in(build: Build) -> None:
    found = counts(build, lambda house: house.meets(foreign_keys()), "one guest", "four guests", "32 guests")
    assert all_alike(found), found
    assert found["four guests"]["hmac_sha256"] == 2 * stay_key.MAX_KEYS
    assert found["four guests"]["comparisons"] == stay_key.MAX_KEYS


def test_a_whole_tap_of_a_stranger_costs_the_same_once_a_document_of_that_signer_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for guests in (0, 1, 4):
        counting = CountingCrypto()
        (tmp_path / str(guests)).mkdir()
        doorway = Doorway(tmp_path / str(guests), monkeypatch, counting)
        before, stranger = doorway.visitor(), doorway.visitor()
        doorway.tap(before.plain_phone)
        inside = [doorway.visitor() for _ in range(guests)]
        if inside:
            doorway.book(*inside)
        for guest in inside:
            doorway.tap(guest.phone)
            assert doorway.opened()
        doorway.true_ms += 60000
        counting.calls.clear()
        doorway.tap(stranger.phone)
        assert not doorway.opened()
        found.append(dict(counting.calls))
    assert found[0] == found[1] == found[2], found


# --- would it be noticed? --------------------------------------------------------------------------------------------


def test_a_door_that_judges_only_the_stays_that_there_are_is_noticed(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "MAX_STAYS", 0)
    found = counts(build, lambda house: house.judges(STRANGER, "grant.none"), "one guest", "two platforms")
    assert [each["hmac_sha256"] - 2 for each in found.values()] == [0, 4, 8]


def test_a_door_that_works_on_the_keys_it_holds_alone_is_noticed(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_held(house: House) -> dict[str, int]:
        keys, nonce = house.lock.reentry._offered[1], b"\x82\x01\x50" + bytes(16)
        monkeypatch.setattr(stay_key, "MAX_KEYS", len(keys))
        return house.work.of(lambda: stay_key.Exchange(house.counting, keys, nonce).judge(nonce))

    assert not all_alike(counts(build, of_held, "four guests"))


class OneByOne(Reentry):
    """A faulty re-entry. This re-entry derives the guests' PINs one after the other."""

    async def by_pin(self, typed: str) -> list[Any]:
        for known in self.guests():
            if self._pin(*known) == typed:
                return [known]
        raise RefusedError("pin.wrong", "")


def test_a_door_that_derives_the_pin_of_each_guest_is_noticed(build: Build) -> None:
    def of_guessing(house: House) -> dict[str, int]:
        lock = house.lock
        wrong = OneByOne(house.counting, house.store, lock.clock, lock.trusted, lock.stays, lock.commitment_keys)

        def guess() -> None:
            with pytest.raises(RefusedError, match=r"pin\.wrong"):
                asyncio.run(wrong.by_pin("00000000"))

        return house.work.of(guess)

    found = counts(build, of_guessing, "one guest", "four guests")
    assert [each.get("hmac_sha256", 0) for each in found.values()] == [0, 1, 4]


def searching(house: House) -> Callable[[bytes], int]:
    """Return a loop that has never run before. The steps of the loop are counted like the steps of the lock's code. The
    loop stops when it finds a PIN, and the result is the number of steps.

    The loop needs no HMAC, and the runtime does the comparison. So only the number of steps shows this fault.
    """
    source = "def search(items, wanted):\n    for each in items:\n        if each == wanted:\n            return\n"
    space: dict[str, Any] = {}
    exec(compile(source, str(placed_lock.__file__).replace("tests/support", "firmware"), "exec"), space)
    items = [bytes((n,)) for n in range(9)]
    return lambda wanted: house.work.of(lambda: space["search"](items, wanted))["steps"]


def test_a_look_up_that_ends_at_its_guest_is_noticed(build: Build) -> None:
    search = searching(build("four guests"))
    assert search(b"\x01") < search(b"\x08")


def test_steps_are_counted_from_the_first_run_of_a_function_on(build: Build) -> None:
    search = searching(build("nobody has booked"))
    taken = [search(b"\x08") for _ in range(100)]
    assert taken[0] > 9 and set(taken) == {taken[0]}, taken
