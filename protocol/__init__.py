"""What is said: every byte format of Mooring and the rules that go with it.

Sans-IO: bytes in, bytes or values out. What may not live here: sockets, pins, files, clock reads, threads, and
imports of any other room. All modules run on CPython and on MicroPython alike; cryptography is passed in as the
`crypto` argument (see `protocol.crypto`), so one set of rules serves the lock, the edge agent and the province.
"""

VERSION = "0.2.0"
"""The version of Mooring, written here and nowhere else."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Value = TypeVar("_Value")


def const(value: "_Value") -> "_Value":
    """`value`, a literal. MicroPython's compiler puts it wherever such a name is used, and keeps no name that begins
    with "_": each takes room in a table on the lock's heap."""
    return value
