"""The serial console: one line an event, `<ms> <event> key=value …`, for installers and for the simulator's timeline.

Never personal data, keys or bytes from a guest: events, codes, counts and durations only. The last lines are kept, for
whoever plugs a cable in after something has happened (`firmware/maintenance.py`).
"""

from firmware.hardware import ticks
from protocol import const

_KEPT = const(1024)
_kept = bytearray(_KEPT)  # a ring, made once: a line that is logged leaves nothing on the heap
_count = 0


def log(event: str, **facts: object) -> None:
    """Print one event. Values are numbers or short codes."""
    line = "%d %s" % (ticks.now(), event)
    for name in sorted(facts):
        line += " %s=%s" % (name, facts[name])
    print(line)
    _keep(line.encode() + b"\n")


def advise(message: str) -> None:
    """Print what an installer can mend, a sentence of a ConfigError; nothing if there is none."""
    if message:
        print(message)
        _keep(message.encode() + b"\n")


def answer(line: bytes) -> None:
    """Print a line of the maintenance console, which is no event."""
    print(line[:-1].decode())


def lines() -> bytes:
    """The last lines, whole ones, oldest first, with their ends."""
    at = _count % _KEPT
    kept = bytes(_kept[at:] + _kept[:at])
    if _count < _KEPT:
        return kept[-_count:] if _count else b""
    return kept[kept.find(b"\n") + 1 :]


def _keep(line: bytes) -> None:
    global _count
    line = line[-_KEPT:]
    at = _count % _KEPT
    end = min(_KEPT, at + len(line))
    _kept[at:end] = line[: end - at]
    _kept[: len(line) - (end - at)] = line[end - at :]
    _count += len(line)
