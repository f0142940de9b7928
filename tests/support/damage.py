"""Damages bytes on their way, for tests that try many damages."""

from collections.abc import Iterable

from hypothesis import strategies as st


def edits(values: st.SearchStrategy[int], most: int) -> st.SearchStrategy[list[tuple[float, int, int]]]:
    """Return a strategy for lists of one to `most` edits. An edit has a place (from 0 to 1), a kind and a value."""
    return st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), values), min_size=1, max_size=most)


def damaged(data: bytes, edits: Iterable[tuple[float, int, int]]) -> bytes:
    """Return `data` after `edits`, each of which replaces a byte, inserts a byte, deletes a few bytes, or cuts off the
    rest.
    """
    edited = bytearray(data)
    for where, how, value in edits:
        at = int(where * (len(edited) - 1)) if edited else 0
        if how == 0 and edited:
            edited[at] = value
        elif how == 1:
            edited.insert(at, value)
        elif how == 2:
            del edited[at : at + 1 + value % 8]
        else:
            del edited[at:]
    return bytes(edited)
