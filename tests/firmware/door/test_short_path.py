"""A guest shows the same document again. The lock remembers the issuer signatures that it has already verified."""

from dataclasses import replace

from firmware.hardware import console
from sim import issuer, pki
from sim.platform import Booking
from tests.support import tap
from tests.support.doorway import Doorway, Visitor
from tests.support.placed_lock import why_refused

# --- the document again ----------------------------------------------------------------------------------------------


def recalled(doorway: Doorway, guest: Visitor) -> int:
    """Tap. Return the number of issuer signatures that the lock remembered, according to the console."""
    doorway.tap(guest.plain_phone)
    said = [line for line in console.lines().decode().splitlines() if " mdoc.verified " in line]
    return int(said[-1].rpartition("recalled=")[2])


def test_the_same_document_again_takes_the_short_path(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    assert recalled(doorway, guest) == 2 and doorway.opened()


def test_signatures_are_remembered_of_every_verified_document_alike_and_open_nothing(doorway: Doorway) -> None:
    first, second = doorway.visitor(), doorway.visitor()
    found = [recalled(doorway, each) for each in (first, second, first, second)]
    assert not doorway.opened() and found[0] == 0 and found[2:] == [2, 2]
    doorway.book(first)
    assert recalled(doorway, first) == 2 and doorway.opened()
    assert recalled(doorway, second) == 2 and not doorway.opened()


def test_a_new_trust_list_forgets_all_and_one_without_the_issuer_refuses(
    doorway: Doorway, guest: Visitor, stay: Booking
) -> None:
    doorway.trust(tap.iaca(issuer.MDL).der)
    assert recalled(doorway, guest) == 0 and doorway.opened()
    assert recalled(doorway, guest) == 2
    doorway.trust(pki.authority("another IACA", "SE").der)
    doorway.tap(guest.plain_phone)
    assert not doorway.opened() and why_refused() == "mdoc.untrusted"


def test_an_issuer_dropped_while_a_phone_is_being_read_is_not_trusted_any_more(doorway: Doorway) -> None:
    # The courier is on the guest's side. The courier delivers a newer trust list only after the read has begun.
    guest = doorway.visitor()
    doorway.book(guest)

    def consent(_: object) -> bool:
        doorway.trust(pki.authority("another IACA", "SE").der)
        return True

    doorway.tap(replace(guest.plain_phone, consent=consent))
    assert not doorway.opened() and doorway.bodies() == []
    doorway.trust(tap.iaca(issuer.MDL).der)
    doorway.tap(guest.plain_phone)
    assert doorway.opened()


def test_a_power_cut_forgets_what_was_remembered(doorway: Doorway, guest: Visitor, stay: Booking) -> None:
    doorway.reboot()
    assert recalled(doorway, guest) == 0 and doorway.opened()
    assert recalled(doorway, guest) == 2
