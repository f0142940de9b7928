"""Tables for people. The tables show a check-in's record as each party has it, and which data each party could read."""

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from protocol import record
from protocol.record import Record
from sim.door import Door
from sim.lines import Lines
from sim.site import Site
from sim.words import Phrase, phrase

_HEX_COLUMNS = 48


def _record(site: Site, door: Door, counter: int) -> Record:
    raw = site.province.store.record_bytes(door.lock_id, counter)
    assert raw is not None, "a record is shown only once the province has it"
    return record.parse(raw)


def views(site: Site, door: Door, counter: int, language: str = "en") -> Table:
    """Return a table of the record with this counter, as lock, edge agent and province see it, in `language`."""
    made = _record(site, door, counter)
    fields = next(item.fields for item in site.province.registrations() if item.counter == counter)
    result = _table(phrase("the same record, three times").said(language))
    result.show_header, result.show_lines = False, True
    result.add_column(no_wrap=True)
    result.add_column(ratio=1)
    hexed = made.raw.hex()
    lines = [hexed[at : at + _HEX_COLUMNS] for at in range(0, 4 * _HEX_COLUMNS, _HEX_COLUMNS)]
    end = phrase("… {size:byte}, hash-chained", size=len(made.raw))
    header = (
        (phrase("lock id"), phrase("{beginning}…", beginning=made.lock_id.hex()[:16])),
        (phrase("counter"), phrase("{counter}", counter=made.counter)),
        (phrase("previous"), phrase("{beginning}…", beginning=made.previous.hex()[:16])),
        (phrase("sealed"), phrase("{size:byte} that only the province can open", size=len(made.sealed))),
    )
    edge = "\n".join(_padded(name.said(language)) + value.said(language) for name, value in header)
    province = "\n".join(_padded(name) + text for name, text in sorted(fields.items()))
    for party, place, said, colour in (
        (phrase("at the lock"), phrase("(flash)"), "\n".join([*lines, end.said(language)]), "cyan"),
        (phrase("at the edge"), phrase("(outbox)"), edge, "blue"),
        (phrase("at the\nprovince"), None, province, "green"),
    ):
        name = Text(party.said(language), colour)
        if place is not None:
            name = Text.assemble(name, "\n" + place.said(language))
        result.add_row(name, Lines(said, colour))
    return result


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold")


def _padded(name: str) -> str:
    """Return the name of a field, with the spaces that lead to the column of the values."""
    return name + " " * max(1, 12 - cell_len(name))


_KNOWLEDGE = (
    (phrase("phone"), phrase("everything: it is the guest's"), phrase("")),
    (
        phrase("lock, RAM"),
        phrase("the elements asked for, for the length of the tap"),
        phrase("the portrait: never asked for"),
    ),
    (
        phrase("lock, flash"),
        phrase("counter, hashes, grants, guests as keyed hashes"),
        phrase("name, birth date, document number"),
    ),
    (
        phrase("edge agent"),
        phrase("lock id, counter, sizes, times of day"),
        phrase("who, which document, check-in or entry"),
    ),
    (phrase("broker"), phrase("the same as the edge agent"), phrase("the same as the edge agent")),
    (phrase("platform"), phrase("its own booking"), phrase("that the guest arrived, and with which document")),
    (
        phrase("province"),
        phrase("the registration, complete"),
        phrase("nothing more, and it cannot open the door"),
    ),
)
"""What each party could read, and what each party could not read."""


def knowledge(language: str = "en") -> Table:
    """Return a table of the data that each party could read by design, in `language`. `searched` checks it."""
    result = _table(phrase("who could read what").said(language))
    result.show_edge = False
    result.add_column(phrase("party").said(language), no_wrap=True)
    result.add_column(phrase("could read").said(language), ratio=1)
    result.add_column(phrase("could not read").said(language), ratio=1)
    for party, could, could_not in _KNOWLEDGE:
        result.add_row(party.said(language), Lines(could.said(language)), Lines(could_not.said(language)))
    return result


def searched(site: Site) -> Phrase:
    """Search for guests' data now. Returns a sentence that says which places were searched, and what was found."""
    exposed = site.exposed()
    return phrase(
        "Searched for {forms:form} of guests' data:\n"
        "{flash} KiB of the lock's flash, {at_rest} KiB at the edge agent, {heard:byte} over MQTT,\n"
        "every log: {found}.",
        forms=site.search().size,
        flash=sum(door.image.stat().st_size for door in site.doors) // 1024,
        at_rest=sum(path.stat().st_size for edge in site.edges for path in edge.state.rglob("*") if path.is_file())
        // 1024,
        heard=sum(len(message.payload) for message in site.wiretap.heard),
        found=phrase("found: {places}", places=", ".join(exposed)) if exposed else phrase("found none"),
    )
