"""Guests who have checked in come back by stay key, by PIN, or by the document again. All this ends with the stay."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from firmware.door import pin_attempts
from firmware.door.reentry import WARY_MS
from protocol.errors import TransportError
from protocol.grant import MAX_GUESTS
from protocol.stay_key import APPLICATION
from sim.phone.stay_key import StayKeys
from sim.platform import Booking
from tests.support import tap
from tests.support.doorway import DAY, Doorway, Visitor, stored_keys


def pin(doorway: Doorway, stay: Booking, guest: Visitor) -> str:
    return doorway.platform.pin(stay, guest.named)


def says(doorway: Doorway) -> str:
    """Return the last answer of the door."""
    return [done for done in doorway.outputs.done if done.startswith("answer")][-1].split()[1]


# --- stay key --------------------------------------------------------------------------------------------------------


def test_the_phone_that_checked_in_opens_by_its_key_in_two_commands(
    doorway: Doorway, guest: Visitor, stay: Booking
) -> None:
    visit = doorway.tap(guest.phone)
    assert doorway.opened() and visit.outcome().result == "recognized"
    assert len(doorway.card.exchanges) == 2
    assert doorway.methods() == ["mdoc", "stay-key"]


def test_a_phone_that_knows_nothing_of_stay_keys_checks_in_and_comes_back_all_the_same(doorway: Doorway) -> None:
    guest = doorway.visitor()
    doorway.book(guest)
    doorway.tap(guest.plain_phone)
    first = len(doorway.card.exchanges)
    assert doorway.opened()
    doorway.tap(guest.plain_phone)
    assert doorway.opened() and len(doorway.card.exchanges) == first
    assert doorway.methods() == ["mdoc", "mdoc"]


@pytest.mark.parametrize("with_app", [True, False])
def test_a_phone_cannot_tell_from_what_it_is_asked_whether_anybody_is_in(doorway: Doorway, with_app: bool) -> None:
    guest, probe = doorway.visitor(), doorway.visitor()
    probe.keys.add(b"p" * 32)  # a stay key of another door
    stay = doorway.book(guest)

    def asked() -> list[int]:
        doorway.tap(probe.phone if with_app else probe.plain_phone)
        assert APPLICATION in doorway.card.exchanges[0][0]
        return [len(command) for command, _ in doorway.card.exchanges]

    empty = asked()
    doorway.tap(guest.phone)
    assert doorway.opened()
    occupied = asked()
    cancelled(doorway, stay, guest)
    assert empty == occupied == asked()


def test_a_key_survives_a_power_cut(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    doorway.reboot(dark_seconds=600, told=False)
    assert doorway.tap(guest.phone).outcome().result == "recognized"
    assert doorway.opened()


def test_another_phone_does_not_open_by_a_key_of_its_own(doorway: Doorway, stay: Booking) -> None:
    stranger = doorway.visitor()
    stranger.keys.add(b"s" * 32)
    visit = doorway.tap(stranger.phone)
    assert not doorway.opened() and visit.outcome().result == "presented"  # no grant names this ID
    assert says(doorway) == "refused_stay"


def test_a_phone_with_a_stale_key_falls_back_to_the_document(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    guest.keys.keys = [b"s" * 32]
    assert doorway.tap(guest.phone).outcome().result == "presented"
    assert doorway.opened()


def test_a_key_of_a_listing_that_the_lock_has_left_does_not_stand_before_the_document(
    doorway: Doorway, guest: Visitor, stay: Booking
) -> None:
    doorway.place(listing="HZ-2")
    doorway.book(guest, listing="HZ-2")
    assert doorway.tap(guest.phone).outcome().result == "presented"
    assert doorway.opened() and doorway.methods() == ["mdoc", "mdoc"]


def test_an_application_that_answers_nonsense_is_passed_over(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    class Nonsense(StayKeys):
        def select(self) -> bytes:
            return b"\x82\x01\x41"

    phone = replace(guest.phone, stay_keys=Nonsense())
    assert doorway.tap(phone).outcome().result == "presented"
    assert doorway.opened()


def test_a_phone_that_cannot_bear_the_question_is_not_asked_a_second_time(doorway: Doorway, stay: Booking) -> None:
    other = doorway.visitor()
    doorway.book(other)
    transaction = other.plain_phone.touch()

    def easily_upset(command: bytes) -> bytes:
        if APPLICATION in command:
            raise TransportError("nfc.gone", "silent from here on")
        return transaction.process(command)

    for expected in (False, True):
        doorway.present(tap.DirectCard(easily_upset))
        assert doorway.opened() == expected
        assert says(doorway) == ("allowed" if expected else "again")


def test_a_torn_tap_of_one_phone_does_not_cost_a_later_one_its_key(
    doorway: Doorway, guest: Visitor, stay: Booking
) -> None:
    def torn(_command: bytes) -> bytes:
        raise TransportError("nfc.gone", "taken away")

    doorway.present(tap.DirectCard(torn))
    doorway.run(WARY_MS // 1000)
    assert doorway.tap(guest.phone).outcome().result == "recognized"
    assert doorway.opened()


def test_a_key_that_cannot_be_kept_does_not_keep_the_guest_out(doorway: Doorway, guest: Visitor) -> None:
    doorway.book(guest)
    doorway.store.worn.add("stay-keys")
    doorway.tap(guest.phone)
    assert doorway.opened()
    doorway.run(2 * DAY + 60)  # the key cannot be wiped either, but the lock goes on working
    assert doorway.lock.reentry._keys._keys == []


def test_a_second_presentation_leaves_the_key_of_the_check_in(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    before = stored_keys(doorway)
    doorway.tap(guest.plain_phone)
    assert doorway.opened() and stored_keys(doorway) == before
    assert doorway.tap(guest.phone).outcome().result == "recognized"


def test_a_refused_presentation_leaves_no_key(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    before = stored_keys(doorway)
    stranger = doorway.visitor()
    doorway.tap(stranger.phone)
    doorway.tap(stranger.phone)
    assert not doorway.opened() and stored_keys(doorway) == before


def test_more_keys_than_one_exchange_can_try_are_not_kept(doorway: Doorway) -> None:
    keys = doorway.lock.reentry._keys
    for number in range(MAX_GUESTS):
        keys.add((bytes(16), bytes([number]) * 32), bytes([number]) * 32)
    assert [key[0] for _, _, key in stored_keys(doorway)] == list(range(8, 32))


# --- PIN -------------------------------------------------------------------------------------------------------------


def test_a_pin_opens_after_the_check_in_and_not_before(doorway: Doorway, guest: Visitor) -> None:
    booking = doorway.book(guest)
    doorway.enter(pin(doorway, booking, guest))
    assert not doorway.opened() and says(doorway) == "refused_stay"
    doorway.tap(guest.plain_phone)
    doorway.enter(pin(doorway, booking, guest))
    assert doorway.opened()
    assert doorway.methods() == ["mdoc", "pin"]


def test_each_guest_has_their_own_pin(doorway: Doorway) -> None:
    first, second = doorway.visitor(), doorway.visitor()
    booking = doorway.book(first, second)
    doorway.tap(first.plain_phone)
    doorway.enter(pin(doorway, booking, second))
    assert not doorway.opened()
    doorway.enter(pin(doorway, booking, first))
    assert doorway.opened()


@pytest.mark.parametrize("typed", ["1", "1234567", "123456789", "0" * 16])
def test_what_is_no_pin_is_refused_and_not_counted(doorway: Doorway, stay: Booking, typed: str) -> None:
    doorway.store.written.clear()
    for _ in range(20):
        doorway.enter(typed)
        assert not doorway.opened()
    assert "pin" not in doorway.store.written


def wrong(right: str) -> str:
    return f"{(int(right) + 1) % 10**8:08}"


def test_wrong_pins_are_followed_by_waits_in_which_the_right_one_does_not_open_either(
    doorway: Doorway, guest: Visitor, stay: Booking
) -> None:
    right = pin(doorway, stay, guest)
    for _ in range(pin_attempts.FREE):
        doorway.enter(wrong(right))
        assert says(doorway) == "refused_stay"
    doorway.enter(right)
    assert not doorway.opened() and says(doorway) == "busy"
    doorway.run(pin_attempts.FIRST_WAIT_MS // 1000 + 1)
    doorway.enter(right)
    assert doorway.opened()


def test_a_power_cut_does_not_shorten_a_wait(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    right = pin(doorway, stay, guest)
    for _ in range(pin_attempts.FREE):
        doorway.enter(wrong(right))
    for _ in range(5):
        doorway.run(pin_attempts.FIRST_WAIT_MS // 1000 - 2)
        doorway.reboot(dark_seconds=3600)
        doorway.enter(right)
        assert not doorway.opened()
    doorway.run(pin_attempts.FIRST_WAIT_MS // 1000 + 1)
    doorway.enter(right)
    assert doorway.opened()


def test_a_lock_that_cannot_charge_a_try_compares_nothing(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    doorway.store.worn.add("pin")
    doorway.enter(pin(doorway, stay, guest))
    assert not doorway.opened() and says(doorway) == "fault"


def test_a_guest_whom_the_grant_names_by_another_place_keeps_their_pin(doorway: Doorway) -> None:
    first, second = doorway.visitor(), doorway.visitor()
    booking = doorway.book(first, second)
    doorway.tap(second.plain_phone)
    told = pin(doorway, booking, second)
    changed = doorway.platform.change(booking, guests=[second.named, first.named])
    doorway.bring(doorway.platform.grant(changed))
    doorway.enter(told)
    assert doorway.opened()


# --- the end of it ---------------------------------------------------------------------------------------------------


def ended(doorway: Doorway, stay: Booking, guest: Visitor) -> None:
    doorway.run(2 * DAY + 60)


def cancelled(doorway: Doorway, stay: Booking, guest: Visitor) -> None:
    doorway.bring(doorway.platform.grant(doorway.platform.cancel(stay)))


def shortened(doorway: Doorway, stay: Booking, guest: Visitor) -> None:
    doorway.bring(doorway.platform.grant(doorway.platform.change(stay, until=doorway.now - 60)))


def taken_off(doorway: Doorway, stay: Booking, guest: Visitor) -> None:
    other = doorway.visitor()
    doorway.bring(doorway.platform.grant(doorway.platform.change(stay, guests=[other.named])))


def ended_in_the_dark(doorway: Doorway, stay: Booking, guest: Visitor) -> None:
    doorway.reboot(dark_seconds=2 * DAY + 60)
    doorway.run(1)


ENDS: list[Callable[[Doorway, Booking, Visitor], None]] = [ended, cancelled, shortened, taken_off, ended_in_the_dark]


@pytest.mark.parametrize("end", ENDS)
def test_all_ways_back_die_with_the_stay(
    doorway: Doorway, guest: Visitor, stay: Booking, end: Callable[[Doorway, Booking, Visitor], None]
) -> None:
    doorway.enter(pin(doorway, stay, guest))
    assert doorway.opened()
    end(doorway, stay, guest)
    assert stored_keys(doorway) == []
    doorway.enter(pin(doorway, stay, guest))
    assert not doorway.opened()
    visit = doorway.tap(guest.phone)
    assert not doorway.opened() and visit.outcome().result == "presented"
    doorway.tap(guest.plain_phone)
    assert not doorway.opened(), "remembered signatures of issuers open nothing"


@pytest.mark.parametrize("end", ENDS)
def test_none_of_it_comes_back_with_a_power_cut(
    doorway: Doorway, guest: Visitor, stay: Booking, end: Callable[[Doorway, Booking, Visitor], None]
) -> None:
    end(doorway, stay, guest)
    doorway.reboot(told=False)
    doorway.enter(pin(doorway, stay, guest))
    assert not doorway.opened()
    doorway.tap(guest.phone)
    assert not doorway.opened()


def test_another_stay_of_the_same_guest_has_other_keys_and_another_pin(
    doorway: Doorway, guest: Visitor, stay: Booking
) -> None:
    old, old_pin = list(guest.keys.keys), pin(doorway, stay, guest)
    cancelled(doorway, stay, guest)
    again = doorway.book(guest)
    doorway.enter(old_pin)
    assert not doorway.opened()
    assert doorway.tap(guest.phone).outcome().result == "presented"
    assert doorway.opened()
    assert guest.keys.keys[0] not in old and pin(doorway, again, guest) != old_pin
    guest.keys.keys = old
    assert doorway.tap(guest.phone).outcome().result == "presented"


def test_an_extension_keeps_all_ways_back(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    doorway.bring(doorway.platform.grant(doorway.platform.change(stay, until=stay.until + DAY)))
    doorway.run(2 * DAY + 60)
    doorway.enter(pin(doorway, stay, guest))
    assert doorway.opened()
    assert doorway.tap(guest.phone).outcome().result == "recognized"
    assert doorway.opened()


def test_a_suspended_listing_honours_those_who_are_in(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    doorway.place("suspended")
    doorway.enter(pin(doorway, stay, guest))
    assert doorway.opened()
    doorway.tap(guest.phone)
    assert doorway.opened()
