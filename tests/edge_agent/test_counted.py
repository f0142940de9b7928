"""A noun fits its number: one record, two records."""

from edge_agent.counted import counted


def test_a_noun_fits_its_number() -> None:
    assert [counted(number, "record") for number in (0, 1, 2)] == ["0 records", "1 record", "2 records"]
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
