"""The serial console: one line for each event, `<ms> <event> key=value …`, for installers and the simulator's timeline.

The console never prints personal data, keys or bytes from a guest, only events, codes, counts and durations. The most
recent lines are kept, so that somebody can plug in a cable later and read them (`firmware/maintenance.py`).
"""

from firmware.hardware import ticks
from protocol import const

_KEPT = const(1024)
_kept = bytearray(_KEPT)  # a ring buffer, allocated once, so that a logged line leaves nothing on the heap
_count = 0


def log(event: str, **facts: object) -> None:
    """Print one event. The values in `facts` are numbers or short codes."""
    line = "%d %s" % (ticks.now(), event)
    for name in sorted(facts):
        line += " %s=%s" % (name, facts[name])
    print(line)
    _keep(line.encode() + b"\n")


def advise(message: str) -> None:
    """Print `message`, the sentence of a ConfigError, which says what an installer can correct. If the message is
    empty, print nothing."""
    if message:
        print(message)
        _keep(message.encode() + b"\n")


def answer(line: bytes) -> None:
    """Print a line of the maintenance console. Such a line is not an event and is not kept."""
    print(line[:-1].decode())


def lines() -> bytes:
    """Return the complete lines that are kept, oldest first, each with its line end."""
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
    # After storing a slice, MicroPython moves all bytes behind it. So store into a view that ends with the slice.
    view = memoryview(_kept)
    view[at:end][:] = line[: end - at]
    view[: len(line) - (end - at)][:] = line[end - at :]
    _count += len(line)
