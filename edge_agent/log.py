"""Log lines of the edge agent: an event of `edge_agent.events` and its facts, as text for people or JSON for machines.

Facts are lock ids, counters, sizes and codes. No fact contains a person's name or number, or the content of a record. A
warning or an error also tells the meaning of the event: in text after a `#`, in JSON as `meaning`.
"""

import json
import logging
import sys
import time
from typing import Final

from edge_agent.events import EVENTS

_LOGGER = logging.getLogger("edge_agent")
_LEVELS: Final = logging.getLevelNamesMapping()


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


def start(level: str, as_json: bool) -> None:
    """Print the events of all modules of `edge_agent` on stdout, for journald or a terminal."""
    handler = logging.StreamHandler(sys.stdout)
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
