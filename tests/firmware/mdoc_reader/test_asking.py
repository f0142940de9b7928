"""Wallets with one type of document: which types the lock requests, and after how many taps the door opens.

The requests must not reveal which guests are expected.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import TransportError
from protocol.profile import Profile
from sim import issuer, pki
from sim.phone.applet import Habits, Wallet
from sim.phone.phone import FOREVER, Phone, TapOutcome
from sim.province.registry import PROFILES
from tests.support import placed_lock, tap
from tests.support.doorway import DAY, Doorway, Visitor

ORDER = Profile.parse(PROFILES["CN"]).requests
RESIDENT, LICENCE, PHOTO, PID, OTHER_PHOTO = (doc_type for (doc_type,) in ORDER)
REST = sorted([LICENCE, PHOTO, PID, OTHER_PHOTO])
"""The other document types, in the order in which one request lists them."""
WALLETS: tuple[Wallet, ...] = ("open", "closes", "throws", "silent")


@pytest.fixture
def doorway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorway:
    here = Doorway(tmp_path, monkeypatch)
    here.trust_all()
    return here


class Card(tap.DirectCard):
    """A card whose phone may fail to answer. In that case, the reader waits for the answer until it gives up.

    `leaves_at` is the number of a request. Somebody takes the phone away after this request, before the phone answers.
    """

    def __init__(self, doorway: Doorway, phone: Phone, leaves_at: int = 0) -> None:
        self.transaction = phone.touch()
        super().__init__(self.transaction.process)
        self._doorway = doorway
        self._leaves_at = leaves_at

    async def transceive(self, command: bytes | memoryview, timeout_ms: int = 1000, sink: Any = None) -> bytes:
        response = await super().transceive(command, timeout_ms, sink)
        if self.transaction.thinking >= FOREVER:
            self._doorway.true_ms += timeout_ms
            raise TransportError("nfc.timeout", "the card says nothing")
        if self._leaves_at and len(self.transaction.outcome().requests) == self._leaves_at:
            raise TransportError("nfc.gone", "the card is gone")
        return response


def come(doorway: Doorway, phone: Phone, leaves_at: int = 0) -> TapOutcome:
    """Tap once with `phone`, and return the phone's result."""
    card = Card(doorway, phone, leaves_at)
    doorway.present(card)
    return card.transaction.outcome()


def asked(doorway: Doorway, phone: Phone, most: int = 9) -> list[list[list[str]]]:
    """Tap until the door opens, but at most `most` times. Return the document types of each request of each tap."""
    taps: list[list[list[str]]] = []
    while len(taps) < most:
        taps.append([list(types) for types in come(doorway, phone).requests])
        if doorway.opened():
            break
    return taps


def with_wallet(guest: Visitor, wallet: Wallet, *more: Visitor) -> Phone:
    credentials = [each.credential for each in (guest, *more)]
    return tap.phone(*credentials, habits=Habits(wallet=wallet))


# --- the order -------------------------------------------------------------------------------------------------------


def test_a_wallet_that_stays_is_asked_for_one_type_after_the_other_in_one_session(doorway: Doorway) -> None:
    guest = doorway.visitor(PID)
    doorway.book(guest)
    assert asked(doorway, with_wallet(guest, "open")) == [[[RESIDENT], [LICENCE], [PHOTO], [PID]]]


def test_a_wallet_that_closes_after_an_answer_is_asked_for_all_the_rest_at_its_next_tap(doorway: Doorway) -> None:
    guest = doorway.visitor(PHOTO)
    doorway.book(guest)
    assert asked(doorway, with_wallet(guest, "closes")) == [[[RESIDENT]], [REST]]


@pytest.mark.parametrize("wallet", ["throws", "silent"])
def test_a_wallet_that_cannot_bear_a_missing_type_is_asked_for_one_type_a_tap_in_the_end(
    doorway: Doorway, wallet: Any
) -> None:
    guest = doorway.visitor(PID)
    doorway.book(guest)
    taps = [[[RESIDENT]], [REST], [[LICENCE]], [[PHOTO]], [[PID]]]
    assert asked(doorway, with_wallet(guest, wallet)) == taps
    assert asked(doorway, with_wallet(guest, wallet)) == taps, "after an opening the requests are asked in order again"


def test_after_one_type_a_tap_the_door_begins_from_the_start(doorway: Doorway) -> None:
    stranger = tap.phone(tap.credential(issuer.MDL), habits=Habits(wallet="silent"), reader_roots=[])
    first = asked(doorway, stranger, 6)
    assert first == [[[RESIDENT]], [REST], [[LICENCE]], [[PHOTO]], [[PID]], [[OTHER_PHOTO]]]
    assert asked(doorway, stranger, 2) == first[:2]


def test_the_door_remembers_for_a_minute_and_for_all_phones_alike(doorway: Doorway) -> None:
    guest, other = doorway.visitor(LICENCE), doorway.visitor(LICENCE)
    doorway.book(guest, other)
    first, second = with_wallet(guest, "throws"), with_wallet(other, "throws")
    assert come(doorway, first).requests == ([RESIDENT],)
    doorway.true_ms += 59_999
    assert come(doorway, second).requests == (REST,)
    doorway.true_ms += 59_999
    assert come(doorway, first).requests == ([LICENCE],) and doorway.opened()
    assert come(doorway, first).requests == ([RESIDENT],)
    doorway.true_ms += 60_000
    assert come(doorway, first).requests == ([RESIDENT],)


def test_any_opening_begins_from_the_start(doorway: Doorway) -> None:
    guest = doorway.visitor(LICENCE)
    booking = doorway.book(guest)
    phone = with_wallet(guest, "throws")
    assert len(asked(doorway, phone)) == 3
    assert come(doorway, phone).requests == ([RESIDENT],)
    doorway.enter(doorway.platform.pin(booking, guest.named))
    assert doorway.opened() and come(doorway, phone).requests == ([RESIDENT],)


def test_a_phone_that_was_taken_away_may_still_show_what_it_was_asked_for(doorway: Doorway) -> None:
    """The holder may have taken the phone away to consent. So the next tap asks for that type too, but last."""
    guest = doorway.visitor(RESIDENT)
    doorway.book(guest)
    phone = with_wallet(guest, "closes")
    assert come(doorway, phone, leaves_at=1).requests == ([RESIDENT],)
    assert come(doorway, phone).requests == ([*REST, RESIDENT],) and doorway.opened()


def test_a_tap_that_ends_before_anything_was_asked_changes_nothing(doorway: Doorway) -> None:
    guest = doorway.visitor(LICENCE)
    doorway.book(guest)
    phone = with_wallet(guest, "closes")
    assert come(doorway, phone).requests == ([RESIDENT],)
    doorway.present(tap.DirectCard(phone.touch().process, gone_after=4))
    assert come(doorway, phone).requests == (REST,) and doorway.opened()


def test_what_no_trusted_issuer_may_issue_is_left_out(doorway: Doorway) -> None:
    doorway.trust(tap.iaca(issuer.MDL).der)
    guest = doorway.visitor(LICENCE)
    doorway.book(guest)
    assert asked(doorway, with_wallet(guest, "throws")) == [[[LICENCE]]]


def test_a_door_whose_issuers_issue_nothing_that_registers_asks_nobody(doorway: Doorway) -> None:
    doorway.trust(tap.iaca(issuer.MDL).der, doc_type="org.example.club-card")
    guest = doorway.visitor(LICENCE)
    doorway.book(guest)
    assert come(doorway, with_wallet(guest, "open")).requests == ()
    assert doorway.outputs.done[-1] == "answer refused_stay"


def test_a_type_that_was_not_asked_for_in_this_session_is_not_taken(
    doorway: Doorway, capsys: pytest.CaptureFixture[str]
) -> None:
    guest, other = doorway.visitor(RESIDENT), doorway.visitor(LICENCE)
    doorway.book(guest, other)
    shown = come(doorway, with_wallet(other, "open")).device_response
    outcome = come(doorway, replace(with_wallet(guest, "open"), replay=shown))
    assert outcome.requests == ([RESIDENT],) and not doorway.opened()
    assert "tap.refused code=mdoc.doctype_not_accepted" in capsys.readouterr().out


# --- what goes on in one session -------------------------------------------------------------------------------------


def test_a_guest_whose_first_document_is_not_booked_opens_with_the_second_in_the_same_session(doorway: Doorway) -> None:
    licence, pid = doorway.visitor(LICENCE), doorway.visitor(PID)
    doorway.book(pid)
    outcome = come(doorway, with_wallet(licence, "open", pid))
    assert outcome.requests == ([RESIDENT], [LICENCE], [PHOTO], [PID]) and doorway.opened()
    assert outcome.status == 20


def test_a_holder_is_asked_to_agree_twice_in_a_session_at_most(doorway: Doorway) -> None:
    people = [doorway.visitor(doc_type) for doc_type in (RESIDENT, LICENCE, PID)]
    doorway.book(people[2])
    times: list[object] = []

    def consent(asked: object) -> bool:
        times.append(asked)
        return True

    phone = replace(with_wallet(people[0], "open", *people[1:]), consent=consent)
    outcome = come(doorway, phone)
    assert outcome.requests == ([RESIDENT], [LICENCE]) and len(times) == 2
    assert not doorway.opened() and outcome.status == 20


def test_nor_more_often_where_nobody_is_let_in_by_a_stale_list(doorway: Doorway) -> None:
    rules = {**PROFILES["CN"]["trust"], "stale": "refuse-all"}
    doorway.take("profile", {**PROFILES["CN"], "version": 99, "trust": rules})
    people = [doorway.visitor(doc_type) for doc_type in (RESIDENT, LICENCE, PID)]
    doorway.book(*people, ends=200 * DAY)
    doorway.run(100 * DAY)
    doorway.tell_time(doorway.now)
    outcome = come(doorway, with_wallet(people[0], "open", *people[1:]))
    assert outcome.requests == ([RESIDENT], [LICENCE]) and doorway.outputs.done[-1] == "answer refused_stay"


def test_nothing_is_asked_after_an_answer_that_does_not_verify(doorway: Doorway) -> None:
    """This holds even if the next document would open the door. Unverified data must not decide what happens."""
    licence, pid = doorway.visitor(LICENCE), doorway.visitor(PID)
    doorway.book(pid)
    for tamper in ("element-value", "device-signature", "issuer-signature"):
        phone = replace(with_wallet(licence, "open", pid), tamper=tamper)
        outcome = come(doorway, phone)
        assert outcome.requests == ([RESIDENT], [LICENCE]) and outcome.status == 20, tamper
        assert doorway.outputs.done[-1] == "answer refused_document"


def test_a_message_that_does_not_decrypt_ends_the_session(doorway: Doorway) -> None:
    guest = doorway.visitor(RESIDENT)
    doorway.book(guest)
    outcome = come(doorway, replace(with_wallet(guest, "open"), tamper="session-data"))
    assert outcome.requests == ([RESIDENT],) and outcome.status == 10


@pytest.mark.parametrize(
    ("changes", "light"),
    [
        ({"consent": lambda asked: False}, "refused_phone"),
        ({"tamper": "session-data"}, "refused_phone"),
        ({"tamper": "element-value"}, "refused_document"),
        ({}, "refused_stay"),
    ],
)
def test_the_light_is_that_of_what_was_shown_and_not_of_what_the_phone_did_not_have(
    doorway: Doorway, changes: dict[str, Any], light: str
) -> None:
    come(doorway, replace(with_wallet(doorway.visitor(LICENCE), "open"), **changes))
    assert doorway.outputs.done[-1] == "answer " + light


@pytest.mark.parametrize(("leaves_at", "light"), [(1, "again"), (2, "again"), (3, "refused_stay")])
def test_a_phone_that_goes_away_leaves_the_light_of_what_it_has_shown_until_then(
    doorway: Doorway, leaves_at: int, light: str
) -> None:
    come(doorway, with_wallet(doorway.visitor(LICENCE), "open"), leaves_at)
    assert doorway.outputs.done[-1] == "answer " + light


def test_a_wallet_with_nothing_that_is_asked_for_is_told_to_use_another_document(doorway: Doorway) -> None:
    doorway.trust(tap.iaca(issuer.MDL).der)
    come(doorway, with_wallet(doorway.visitor(PID), "open"))
    assert doorway.outputs.done[-1] == "answer refused_document"


def test_a_door_that_runs_out_of_memory_begins_from_the_start(
    doorway: Doorway,
) -> None:
    guest = doorway.visitor(LICENCE)
    doorway.book(guest)
    phone = with_wallet(guest, "closes")
    assert come(doorway, phone).requests == ([RESIDENT],)
    doorway.primitives.exhausted = {"seal_gcm_in_place"}
    come(doorway, phone)
    doorway.primitives.exhausted = set()
    assert doorway.outputs.done[-1] == "answer fault"
    assert come(doorway, phone).requests == ([RESIDENT],)


# --- nobody learns who is expected -----------------------------------------------------------------------------------


def _stranger(doorway: Doorway, guest: Visitor) -> None:
    doorway.book(doorway.visitor())


def _early(doorway: Doorway, guest: Visitor) -> None:
    public = doorway.lock.identity.public
    begins = doorway.now + 2 * DAY
    booking = doorway.platform.book(public, placed_lock.LISTING, begins, begins + DAY, [guest.named], None)
    doorway.bring(doorway.platform.grant(booking))


def _over(doorway: Doorway, guest: Visitor) -> None:
    doorway.book(guest, ends=60)
    doorway.true_ms += 120_000


def _full(doorway: Doorway, guest: Visitor) -> None:
    doorway.place(admits="walk-in")
    doorway.book(places=1)
    assert come(doorway, tap.phone(doorway.visitor(RESIDENT).credential)).shared and doorway.opened()


def _suspended(doorway: Doorway, guest: Visitor) -> None:
    doorway.book(guest)
    doorway.place(status="suspended")


def _clockless(doorway: Doorway, guest: Visitor) -> None:
    doorway.book(guest)
    doorway.reboot(told=False)


def _stale(doorway: Doorway, guest: Visitor) -> None:
    doorway.book(guest, ends=200 * DAY)
    doorway.run(100 * DAY)
    doorway.tell_time(doorway.now)


REFUSED: dict[str, Callable[[Doorway, Visitor], None]] = {
    "grant.none": _stranger,
    "grant.early": _early,
    "grant.over": _over,
    "grant.full": _full,
    "door.suspended": _suspended,
    "clock.unknown": _clockless,
    "trust-list.stale": _stale,
}


def certificate(root: pki.Identity, public: bytes) -> bytes:
    """Return a reader certificate of a fixed length. Usually, the length depends on the signature and the serial
    number.
    """
    size = len(tap.reader_chain()[0])
    return next(der for _ in range(999) if len(der := pki.reader_certificate(root, public)) == size)


def seen_by_the_phone(doorway: Doorway, phone: Phone) -> tuple[list[tuple[int, int]], dict[str, int]]:
    """Tap once. Return the lengths of all commands and responses, and the number of cryptographic operations."""
    calls = doorway.primitives.calls
    calls.clear()
    come(doorway, phone)
    assert calls["sign"] and calls["seal_gcm_in_place"], "the door asked for something"
    done = {name: calls[name] for name in ("sign", "verify", "generate", "ecdh", "seal_gcm_in_place", "open_gcm")}
    return [(len(command), len(response)) for command, response in doorway.card.exchanges], done


@pytest.mark.parametrize("wallet", ["open", "closes"])
def test_no_byte_request_or_signature_tells_why_a_guest_has_to_ask_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wallet: Any
) -> None:
    guest, seen = None, {}
    for code, arrange in REFUSED.items():
        folder = tmp_path / code
        folder.mkdir()
        here = Doorway(folder, monkeypatch, certify=certificate)
        here.trust_all()
        guest = guest or here.visitor(LICENCE)
        arrange(here, guest)
        here.lock.session_keys.prepare()
        here.lock.commitment_keys.of(here.platform.public)
        phone = with_wallet(guest, wallet)
        taps = [seen_by_the_phone(here, phone) for _ in range(3)]
        assert f"tap.refused code={code}" in capsys.readouterr().out, code
        assert here.outputs.done[-1] == "answer refused_stay"
        seen[code] = [(lengths, operations) for lengths, operations in taps]
    for code, each in seen.items():
        assert each == seen["grant.none"], code
