"""Some holder libraries throw an error when one of the requested document types is missing. The door must open
nevertheless for wallets that use such a library.

tests/data/holder_libraries.mjs recorded the answers of these libraries, in a session with known keys.
"""

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import crypto_cpython as crypto
from protocol.profile import Profile
from protocol.trust import Issuer, TrustList
from sim import issuer
from sim.board.interpreter import ROOT
from sim.phone.applet import Applet, Habits
from sim.phone.session import TERMINATION, HolderSession, status_message
from sim.platform import Guest
from sim.province.registry import PROFILES
from tests.support import tap
from tests.support.doorway import DAY, Doorway, iaca
from tests.support.placed_lock import LISTING

GIVEN: dict[str, Any] = json.loads((ROOT / "tests/data/holder_libraries.json").read_text(encoding="utf-8"))
ORDER = Profile.parse(PROFILES["CN"]).requests


def recorded(name: str) -> Any:
    return bytes.fromhex(GIVEN[name])


class Wallet:
    """An app that uses `library`. If the library throws, the app ends the session. `requests` lists the types."""

    def __init__(self, library: str) -> None:
        key = ec.derive_private_key(int(GIVEN["e_device_key"], 16), ec.SECP256R1())
        self._session = HolderSession(key, recorded("device_engagement"), recorded("handover_select"))
        self._answers = {tuple(each["doc_types"]): each.get("response") for each in GIVEN["libraries"][library]}
        self.requests: list[list[str]] = []
        self.card = tap.DirectCard(Applet(recorded("handover_select"), self._on_message, Habits()).process)

    def _on_message(self, message: bytes) -> bytes | None:
        request, _ = self._session.open(message)
        if request is None:
            return None
        asked = [cbor2.loads(each["itemsRequest"].value) for each in cbor2.loads(request)["docRequests"]]
        self.requests.append(sorted(each["docType"] for each in asked))
        answer = self._answers[tuple(self.requests[-1])]
        return status_message(TERMINATION) if answer is None else self._session.seal(bytes.fromhex(answer))


class Recorded:
    """The real cryptography, except that `generate` always returns the recorded key pair of the session."""

    def __getattr__(self, name: str) -> Any:
        return getattr(crypto, name)

    def generate(self, _curve: str) -> tuple[bytes, bytes]:
        return recorded("e_reader_private"), recorded("e_reader_public")


@pytest.fixture
def doorway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorway:
    """A door that expects the holder of the recorded licence, and uses the recorded session keys."""
    doorway = Doorway(tmp_path, monkeypatch, Recorded())
    roots = {doc_type: iaca(doc_type).der for (doc_type,) in ORDER}
    roots[issuer.MDL] = recorded("iaca")
    doorway.take("trust-list", TrustList(99, doorway.now, [Issuer(der, [each]) for each, der in roots.items()]).body())
    guest = Guest(GIVEN["elements"]["document_number"], GIVEN["elements"]["birth_date"])
    public, begins = doorway.lock.identity.public, doorway.now - 60
    doorway.bring(doorway.platform.grant(doorway.platform.book(public, LISTING, begins, begins + DAY, [guest], None)))
    return doorway


@pytest.mark.parametrize("library", GIVEN["libraries"])
def test_a_wallet_on_a_library_that_throws_at_a_missing_type_opens_at_its_third_tap(
    doorway: Doorway, library: str
) -> None:
    taps: list[list[list[str]]] = []
    while not taps or not doorway.opened():
        wallet = Wallet(library)
        doorway.present(wallet.card)
        taps.append(wallet.requests)
        assert len(taps) <= 3
    first, *rest = [doc_type for (doc_type,) in ORDER]
    assert taps == [[[first]], [sorted(rest)], [[issuer.MDL]]]


@pytest.mark.parametrize("library", GIVEN["libraries"])
def test_such_a_library_throws_whenever_a_type_is_missing_and_at_nothing_else(library: str) -> None:
    """This shows why a request for all types at once never opens the door for a wallet with such a library."""
    for each in GIVEN["libraries"][library]:
        assert ("throws" in each) == (each["doc_types"] != [issuer.MDL])
    assert sorted(doc_type for (doc_type,) in ORDER) in [each["doc_types"] for each in GIVEN["libraries"][library]]
