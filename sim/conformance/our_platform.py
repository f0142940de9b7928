"""This repository's own booking platform, behind the questions of docs/integration.md. Its bookings are on disk."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from protocol import crypto_cpython as crypto
from protocol import placement, statement
from protocol.errors import MooringError
from protocol.placement import Placement
from sim.platform import Booking, Guest, Platform

_MEMBERS: Final = {
    "number": "document_number",
    "birth": "birth_date",
    "name": "name",
    "type": "id_type",
    "country": "country",
    "phone": "phone",
    "adult": "adult",
    "relation": "relation",
}
_BYTES: Final = ("grant_id", "lock_identity")


class OurPlatform:
    """Answers questions. Each answer is on disk before it is given."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "platform.json"
        held = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._platform = Platform(bytes.fromhex(held["private"]) if held else None)
        self._listings: dict[str, str] = held.get("listings", {})
        self._bookings = {name: _booking(told) for name, told in held.get("bookings", {}).items()}
        self._save()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question. A question that cannot be granted is answered by a refusal with its reason."""
        try:
            takers = {"key": self._key, "place": self._place, "book": self._book, "change": self._change}
            takers |= {"cancel": self._cancel, "pin": self._pin}
            told = takers[str(question["ask"])](question)
            self._save()
        except (MooringError, ValueError, KeyError, TypeError, IndexError) as error:
            return {"refused": f"{type(error).__name__}: {error}"}
        return told

    def _key(self, _question: dict[str, Any]) -> dict[str, Any]:
        return {"key": self._platform.public.hex()}

    def _place(self, question: dict[str, Any]) -> dict[str, Any]:
        identity, province = bytes.fromhex(question["identity"]), bytes.fromhex(question["province"])
        signed = bytes.fromhex(question["placement"])
        form = Placement.parse(statement.open(crypto, signed, placement.KIND, province))
        if form.lock_id != placement.lock_id(crypto, identity):
            raise ValueError("the placement is for another lock")
        if form.platform_key != self._platform.public or form.status == placement.REVOKED:
            self._listings.pop(identity.hex(), None)
            raise ValueError("the placement names another platform, or is revoked")
        self._listings[identity.hex()] = form.listing
        return {"placed": True}

    def _book(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._listings.get(question["identity"]) != question["listing"]:
            raise ValueError("the lock is not placed at this listing under this platform")
        if question["booking"] in self._bookings or not question["places"]:
            raise ValueError("there is such a booking already, or it has no place")
        booking = self._platform.book(
            bytes.fromhex(question["identity"]),
            question["listing"],
            question["from"],
            question["until"],
            _guests(question["guests"]),
            question["places"],
        )
        return self._granted(question["booking"], booking)

    def _change(self, question: dict[str, Any]) -> dict[str, Any]:
        booking = self._bookings[question["booking"]]
        if booking.cancelled:
            raise ValueError("the booking is cancelled, for good")
        guests = _guests(question["guests"]) if "guests" in question else None
        changed = self._platform.change(booking, question.get("until"), guests, question.get("places"))
        return self._granted(question["booking"], changed)

    def _cancel(self, question: dict[str, Any]) -> dict[str, Any]:
        return self._granted(question["booking"], self._platform.cancel(self._bookings[question["booking"]]))

    def _pin(self, question: dict[str, Any]) -> dict[str, Any]:
        booking = self._bookings[question["booking"]]
        return {"pin": self._platform.pin(booking, booking.guests[question["guest"] - 1])}

    def _granted(self, name: str, booking: Booking) -> dict[str, Any]:
        signed = self._platform.grant(booking)
        self._bookings[name] = booking
        return {"grant": signed.hex()}

    def _save(self) -> None:
        told = {
            "private": self._platform.private.hex(),
            "listings": self._listings,
            "bookings": {name: _told(booking) for name, booking in self._bookings.items()},
        }
        part = self._file.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)


def _guests(told: list[dict[str, Any]]) -> list[Guest]:
    return [Guest(**{_MEMBERS[member]: value for member, value in each.items()}) for each in told]


def _told(booking: Booking) -> dict[str, Any]:
    return {name: value.hex() if name in _BYTES else value for name, value in asdict(booking).items()}


def _booking(told: dict[str, Any]) -> Booking:
    values: dict[str, Any] = {name: bytes.fromhex(value) if name in _BYTES else value for name, value in told.items()}
    return Booking(**values | {"guests": tuple(Guest(**guest) for guest in told["guests"])})
