"""Tells what each party could and could not read of one record, with the bytes that the party had.

Everything here is read from those bytes: the phone's response, the frame in the lock's flash, the message to the
broker, the grant, the province's database. The people are invented.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import cbor2

from protocol import cbor, record, statement
from protocol import crypto_cpython as crypto
from protocol.grant import Grant
from protocol.record import Record
from sim import timeline
from sim.door import Door
from sim.live.refusal import RequestRefusedError
from sim.live.stores import JournalReports, outbox
from sim.live.texts import both
from sim.meanings import meaning
from sim.people import Person
from sim.province.store import Registration
from sim.province.view import KINDS
from sim.site import Site
from sim.tap import Tap
from sim.words import Phrase, phrase

Read = tuple[Phrase | str, object]
"""Name and value of something that a party could read. Elements and fields have the same names as in the data."""

_LOCK_ID, _COUNTER, _PREVIOUS = phrase("lock id"), phrase("counter"), phrase("hash of the previous record")
_SIZE = phrase("size in bytes")
_WHO, _DOCUMENT, _KIND = phrase("who it was"), phrase("which document"), phrase("check-in or entry")


def parties(site: Site, door: Door, journal: JournalReports, counter: int) -> list[dict[str, Any]]:
    """Return what each party could read of the record with this counter.

    Raises RequestRefusedError `live.record` if the lock has not written such a record.
    """
    journal.read(door.bus.history)
    raw = journal.records.get(counter)
    if raw is None:
        raise RequestRefusedError(404, "live.record", "this lock has written no such record. Choose one of its journal")
    made = record.parse(raw)
    tap = next((tap for tap in door.taps if timeline.counter(door, tap) == counter), None)
    registered = next((item for item in door.findings.records() if item.counter == counter), None)
    person = _person(site, registered)
    return [
        *_at_the_door(site, tap),
        _lock_flash(made, journal),
        *_on_the_way(site, door, made),
        _platform(site, door, registered, person),
        _province(site, made, registered),
    ]


def _party(
    party: str,
    where: Phrase | str,
    held: bytes | None,
    reads: Sequence[Read] = (),
    hidden: Sequence[Phrase | str] = (),
) -> dict[str, Any]:
    return {
        "party": party,
        "reads": [_read(name, value) for name, value in reads],
        "hidden": [_name(name) for name in hidden],
        "bytes": held.hex() if held else None,
        "where": both(where),
    }


def _read(name: Phrase | str, value: object) -> dict[str, Any]:
    """Return the name and the value of something that was read. If the value is a code with a meaning, `value` says
    what it means, and `code` is the code."""
    text = _text(value)
    meant = meaning(name, text) if isinstance(name, str) and isinstance(text, str) else None
    return {"name": _name(name), "value": both(meant or text), "code": text if meant is not None else None}


def _name(name: Phrase | str) -> dict[str, str] | str:
    return both(name) if isinstance(name, Phrase) else name


def _text(value: object) -> Phrase | str:
    if isinstance(value, Phrase):
        return value
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 32 else phrase("{size:byte}", size=len(value))
    if isinstance(value, cbor2.CBORTag):
        return str(value.value)
    if isinstance(value, dict):
        return str(value.get("vehicle_category_code", value))  # a driving privilege (ISO/IEC 18013-5, 7.2.4)
    if isinstance(value, list):
        return ", ".join(str(_text(one)) for one in value)
    return str(value)


# --- at the door -----------------------------------------------------------------------------------------------------


def _at_the_door(site: Site, tap: Tap | None) -> list[dict[str, Any]]:
    """Return what the phone, the air and the lock's memory had. Only a tap that shows a document gives these three
    anything."""
    if tap is None or not tap.outcome.device_response:
        none = phrase("no document was shown at this tap")
        return [_party(party, none, None) for party in ("phone", "air", "lock-ram")]
    response, sealed = tap.outcome.device_response, tap.outcome.session_data
    shared = _elements(response)
    names = sorted({str(name) for name, _ in shared})
    holder = next((person for person in site.people if person.name == str(tap.who)), None)
    everything = {name for elements in holder.document().values() for name in elements} if holder else set[str]()
    held, air = sorted(everything - set(names)), [(_SIZE, len(sealed))]
    return [
        _party("phone", phrase("the DeviceResponse, before it is encrypted"), response, shared),
        _party("air", phrase("SessionData, as a recorder beside the door has it"), sealed, air, names),
        _party("lock-ram", phrase("the DeviceResponse, until the tap is over"), response, shared, held),
    ]


def _elements(response: bytes) -> list[Read]:
    """Return the elements in a DeviceResponse (ISO/IEC 18013-5, 8.3.2.1.2.2)."""
    items = [
        cbor2.loads(item.value)
        for document in cbor2.loads(response).get("documents", [])
        for items in document["issuerSigned"]["nameSpaces"].values()
        for item in items
    ]
    return [(item["elementIdentifier"], item["elementValue"]) for item in items]


# --- on the way ------------------------------------------------------------------------------------------------------


def _header(made: Record) -> list[Read]:
    return [
        (_LOCK_ID, made.lock_id),
        (_COUNTER, made.counter),
        (_PREVIOUS, made.previous),
        (phrase("sealed, for the province alone"), phrase("{size:byte}", size=len(made.sealed))),
    ]


def _lock_flash(made: Record, journal: JournalReports) -> dict[str, Any]:
    where = phrase("the journal's partition: a frame of {size:byte}", size=len(journal.records[made.counter]))
    return _party("lock-flash", where, made.raw, _header(made), [_WHO, _DOCUMENT])


def _on_the_way(site: Site, door: Door, made: Record) -> list[dict[str, Any]]:
    """Return what the edge agent and the broker had."""
    hidden = [_WHO, _DOCUMENT, _KIND]
    waiting = any(made.counter == counter for edge in site.edges for counter, _ in outbox(edge, door.lock_id))
    stored = [(at, edge) for edge in site.edges for at, facts in edge.events("record.stored")
              if (facts["lock"], facts["counter"]) == (made.lock_id.hex(), made.counter)]  # fmt: skip
    message = next((message for message in site.wiretap.heard if made.raw in message.payload), None)
    if not stored:
        edge = _party("edge", phrase("not there yet"), None)
    else:
        name = stored[0][1].name
        where = phrase("the outbox of {edge}: it waits there", edge=name)
        if not waiting:
            where = phrase("the outbox of {edge}, until the receipt came", edge=name)
        edge = _party("edge", where, made.raw, _header(made), hidden)
    if message is None:
        return [edge, _party("broker", phrase("not there yet"), None)]
    size = phrase("{size:byte}", size=len(message.payload))
    return [edge, _party("broker", message.topic, message.payload, [*_header(made), (_SIZE, size)], hidden)]


# --- who knows the guest ---------------------------------------------------------------------------------------------


def _person(site: Site, registered: Registration | None) -> Person | None:
    """Return the guest of a record. An entry names no guest, so the check-in of the same stay is used."""
    if registered is None or registered.guest is None:
        return None
    check_in = next(
        (
            item
            for item in site.province.registrations(record.CHECK_IN)
            if (item.lock_id, item.grant_id, item.guest) == (registered.lock_id, registered.grant_id, registered.guest)
        ),
        None,
    )
    number = None if check_in is None else check_in.fields.get("id_number")
    return next((person for person in site.people if person.document_number == number), None)


def _platform(site: Site, door: Door, registered: Registration | None, person: Person | None) -> dict[str, Any]:
    hidden = [phrase("whether the guest arrived"), _DOCUMENT]
    grants = [
        (signed, Grant.parse(statement.open(crypto, signed, "grant", site.platform.public)))
        for signed in site.province.store.grants(door.lock_id, site.now())
    ]
    mine = next((one for one in grants if registered is not None and one[1].grant_id == registered.grant_id), None)
    if mine is None:
        return _party("platform", phrase("its own bookings; this record is of none of them"), None, (), hidden)
    signed, grant = mine
    reads: list[Read] = [
        ("listing", grant.listing),
        ("valid_from", _utc(grant.valid_from)),
        ("until", _utc(grant.until)),
        ("guests", grant.guests),
    ]
    if person is not None:
        reads += [("document_number", person.document_number), ("birth_date", person.birth_date)]
    return _party("platform", phrase("its booking; the bytes are the grant that it signed"), signed, reads, hidden)


def _province(site: Site, made: Record, registered: Registration | None) -> dict[str, Any]:
    if registered is None:
        return _party("province", phrase("not there yet"), None)
    body = record.open_body(crypto, made, site.province.keys.sealing_private)
    reads: list[Read] = [("kind", KINDS.get(registered.kind, "")), ("verdict", registered.verdict)]
    reads += sorted(registered.fields.items())
    reads += [(name, value) for name, value in (
        ("method", registered.method), ("guest", registered.guest), ("what", registered.what)) if value]  # fmt: skip
    reads.append(("earliest", _utc(registered.earliest or 0)))
    where = phrase("the body of the record, opened with the province's key")
    return _party("province", where, cbor.encode(body), reads, [phrase("the portrait: never asked for")])


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
