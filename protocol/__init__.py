"""Every byte format of Mooring, and its rules.

Sans-IO: bytes in, bytes or values out. No module here may use sockets, pins, files, the clock or threads, or import
another room. All modules run on CPython and on MicroPython, except those named `*_cpython`. Cryptography is passed in
as the `crypto` argument (see `protocol.crypto`), so the lock, the edge agent and the province share one set of rules.
"""

VERSION = "0.2.0"
"""The version of Mooring, written here and nowhere else."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Value = TypeVar("_Value")


def const(value: "_Value") -> "_Value":
    """`value`, a literal. MicroPython's compiler inserts it wherever the name is used. If the name begins with "_", the
    compiler does not keep the name, which saves room on the lock's heap."""
    return value
