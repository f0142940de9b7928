"""Log lines of the edge agent: an event of `edge_agent.events` and its facts, as text for people or JSON for machines.

Facts are lock ids, counters, sizes and codes. No fact contains a person's name or number, or the content of a record. A
warning or an error also tells the meaning of the event: in text after a `#`, in JSON as `meaning`.

A fault that comes again and again is one line, and then one line every REPEAT_SECONDS with the number of `times`.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

from edge_agent.events import EVENTS, REPEATING

_LOGGER = logging.getLogger("edge_agent")
_LEVELS: Final = logging.getLevelNamesMapping()


REPEAT_SECONDS: Final = 600.0
"""A fault that repeats is told again after this time, with a count."""
_SAME: Final = ("code", "lock", "address", "broker", "kind", "leaf")
"""Two lines of one event tell the same fault if they agree in these facts."""


class _Lines(logging.StreamHandler[TextIO]):
    """Prints events. A repetition of a fault is only counted, until `seconds` have passed."""

    def __init__(self, output: TextIO, seconds: float, now: Callable[[], float]) -> None:
        super().__init__(output)
        self._seconds, self._now = seconds, now
        self._repeated: dict[tuple[object, ...], tuple[float, int, logging.LogRecord]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self._tell_repeated(everything=record.getMessage() == "agent.stopped")
        if record.getMessage() not in REPEATING:
            super().emit(record)
            return
        facts: dict[str, object] = record.__dict__["facts"]
        key = (record.getMessage(), *(facts.get(name) for name in _SAME))
        if key in self._repeated:
            began, times, _ = self._repeated[key]
            self._repeated[key] = began, times + 1, record
        else:
            self._repeated[key] = self._now(), 0, record
            super().emit(record)

    def _tell_repeated(self, everything: bool) -> None:
        """Tell the faults whose time is over, each with the facts of its last repetition."""
        now = self._now()
        for key, (began, times, record) in list(self._repeated.items()):
            if everything or now - began >= self._seconds:
                del self._repeated[key]
                if times:
                    record.__dict__["facts"] = {**record.__dict__["facts"], "times": times}
                    super().emit(record)
                    self._repeated[key] = now, 0, record


class _Format(logging.Formatter):
    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._json = as_json

    def format(self, record: logging.LogRecord) -> str:
        level, name = record.levelname.lower(), record.getMessage()
        facts: dict[str, object] = record.__dict__["facts"]
        meaning = EVENTS[name][1] if record.levelno >= logging.WARNING else None
        if self._json:
            told = {"time": round(record.created, 6), "level": level, "event": name, **facts}
            return json.dumps(told if meaning is None else {**told, "meaning": meaning})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        ending = [] if meaning is None else [f"# {meaning}"]
        return " ".join([stamp, level, name, *(f"{key}={_text(value)}" for key, value in facts.items()), *ending])


def _text(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c == '"' for c in text) else text


def start(
    level: str, as_json: bool, *, seconds: float = REPEAT_SECONDS, now: Callable[[], float] = time.monotonic
) -> None:
    """Print the events of all modules of `edge_agent` on stdout, for journald or a terminal.

    A fault that repeats is told once in `seconds`, by the clock `now`.
    """
    handler = _Lines(sys.stdout, seconds, now)
    handler.setFormatter(_Format(as_json))
    _LOGGER.handlers[:] = [handler]
    _LOGGER.setLevel(level.upper())
    _LOGGER.propagate = False


def event(name: str, **facts: object) -> None:
    """Log an event of the table with `facts`. The table gives its level. Bytes are shown in hex."""
    level = _LEVELS[EVENTS[name][0].upper()]
    if _LOGGER.isEnabledFor(level):
        shown = {key: value.hex() if isinstance(value, bytes) else value for key, value in facts.items()}
        _LOGGER.log(level, name, extra={"facts": shown})
