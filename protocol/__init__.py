"""All byte formats of Mooring, with the rules of each format.

Sans-IO: functions take bytes and return bytes or values. No module here may use sockets, pins, files, the clock or
threads. None may import another room. All modules run on CPython and on MicroPython, except those named `*_cpython`.
Cryptography is passed in as the `crypto` argument (see `protocol.crypto`), so the lock, the edge agent and the province
share one set of rules.
"""

VERSION = "0.2.0"
"""The version of Mooring, written here and nowhere else: a public version in the normal form of PEP 440, without an
epoch. Such a version is a code, as HELLO requires (`protocol.link`)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Value = TypeVar("_Value")


def const(value: "_Value") -> "_Value":
    """Return `value`, which must be a literal. MicroPython's compiler writes the literal wherever the name is used. If
    the name begins with "_", the compiler does not keep the name. A name that is not kept takes no room on the lock's
    heap."""
    return value
