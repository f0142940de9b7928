"""What the lock computes between a phone's last byte and the strike, or the refusal."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firmware.hardware import console
from sim import issuer, pki
from sim.phone.phone import Phone
from tests.support import tap
from tests.support.counting import CountingCrypto
from tests.support.doorway import Doorway, Outputs, Visitor, iaca
from tests.support.placed_lock import why_refused

POINTS = ("verify", "ecdh", "sign", "generate", "public")
"""Functions that may multiply points. A signature multiplies none if its nonce was made ahead."""


class Arrivals(Outputs):
    """A door's outputs and a phone's card. `spent` are the calls of the cryptography after the phone's answer arrived
    and before the strike opened or an answer was shown."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.crypto = CountingCrypto()
        self.doorway = Doorway(folder, monkeypatch, self.crypto)
        self.doorway.outputs = self
        self.doorway.reboot()
        self.spent: Counter[str] = Counter()

    def open(self) -> None:
        super().open()
        self.spent = self.crypto.calls.copy()

    def answer(self, name: str) -> None:
        super().answer(name)
        if "open" not in self.done:
            self.spent = self.crypto.calls.copy()

    def rest(self) -> None:
        """Let the lock prepare what it prepares while the door is idle."""
        while self.doorway.lock.recorder.work():
            pass
        self.doorway.lock.session_keys.prepare()

    def tap(self, phone: Phone, change: Callable[[bytearray], None] = lambda answer: None, rested: bool = True) -> None:
        """Let the door serve `phone`. `change` may change the answer with the documents on its way."""
        if rested:
            self.rest()
        transaction = phone.touch()

        def process(command: bytes) -> bytes:
            response = bytearray(transaction.process(command))
            if len(response) > 1000:
                change(response)
                self.crypto.calls.clear()
            return bytes(response)

        self.doorway.present(tap.DirectCard(process))

    def points(self) -> dict[str, int]:
        return {name: self.spent[name] for name in POINTS if self.spent[name]}


@pytest.fixture
def arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    return Arrivals(tmp_path, monkeypatch)


def guests(arrivals: Arrivals, count: int) -> list[Visitor]:
    """Return guests of one booking. One document signer has signed all their documents."""
    signer = pki.document_signer(iaca(issuer.MDL))
    made = [arrivals.doorway.visitor(signer=signer) for _ in range(count)]
    arrivals.doorway.book(*made)
    return made


# --- multiplications --------------------------------------------------------------------------------------------------


def test_the_better_the_lock_knows_a_document_the_less_it_multiplies_after_the_last_byte(arrivals: Arrivals) -> None:
    first, second, third = guests(arrivals, 3)
    found = []
    by_mac = replace(third.plain_phone, authentication="mac")
    for phone in (first.plain_phone, second.plain_phone, by_mac, second.plain_phone):
        arrivals.tap(phone)
        assert arrivals.doorway.opened()
        found.append(arrivals.points())
    new_issuer, known_issuer, known_issuer_by_mac, same_document = found
    assert new_issuer == {"verify": 3, "sign": 1}
    assert known_issuer == {"verify": 2, "sign": 1}
    assert known_issuer_by_mac == {"verify": 1, "ecdh": 1, "sign": 1}
    assert same_document == {"verify": 1, "sign": 1}


def test_what_was_not_made_ahead_is_seen_here(arrivals: Arrivals) -> None:
    (guest,) = guests(arrivals, 1)
    arrivals.tap(guest.plain_phone, rested=False)
    assert arrivals.points() == {"verify": 3, "sign": 1, "ecdh": 1, "generate": 1}


# --- a tag that is wrong ----------------------------------------------------------------------------------------------


def flip(at: int) -> Callable[[bytearray], None]:
    def change(answer: bytearray) -> None:
        answer[at] ^= 1

    return change


PLACES = {"the first encrypted byte": 20, "in the middle": 700, "the last encrypted byte": -19} | {
    f"byte {place} of the tag": place - 18 for place in range(16)
}


def test_nothing_is_read_counted_or_shown_of_an_answer_whose_tag_is_wrong(arrivals: Arrivals) -> None:
    (guest,) = guests(arrivals, 1)
    lock = arrivals.doorway.lock
    seen: set[tuple[tuple[Any, ...], ...]] = set()
    for at in PLACES.values():
        known = bytes(lock.reentry.issuers._known)
        arrivals.tap(guest.plain_phone, flip(at))
        assert why_refused() == "session.encryption" and not arrivals.doorway.opened()
        assert bytes(lock.reentry.issuers._known) == known and not any(known)
        assert not any(arrivals.doorway.door._buffer._reserved)
        said = [line.split()[1] for line in console.lines().decode().rpartition("tap.start\n")[2].splitlines()]
        told = [event for event in said if event in ("mdoc.response", "mdoc.read", "mdoc.verified")]
        seen.add((tuple(arrivals.spent.items()), tuple(arrivals.done), tuple(told)))
    ((spent, _, read),) = seen
    assert dict(spent) == {"open_gcm_in_place": 1} and not read
    arrivals.tap(guest.plain_phone)
    assert arrivals.doorway.opened() and any(lock.reentry.issuers._known)


# --- who was here -----------------------------------------------------------------------------------------------------


def test_a_copied_document_is_refused_with_the_same_work_whether_or_not_its_holder_was_here(arrivals: Arrivals) -> None:
    guest, stranger, other = guests(arrivals, 3)
    arrivals.tap(guest.plain_phone)
    assert arrivals.doorway.opened()

    def copied(holder: Visitor) -> tuple[dict[str, int], Any]:
        """Return the points that refusing a copy of the holder's document took, and what was shown."""
        thief = replace(holder.credential, device_key=other.credential.device_key)
        arrivals.tap(tap.phone(thief))
        assert why_refused() == "mdoc.device_signature"
        return arrivals.points(), list(arrivals.done)

    assert copied(guest) == copied(stranger) == copied(guest)
    assert copied(guest)[0] == {"verify": 3}
