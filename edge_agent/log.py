"""Log lines of the edge agent: an event's stable name and its facts, as text for people or JSON for machines.

Facts are lock ids, counters, sizes and codes; a name, a number or a record's content never is one.
"""

import json
import logging
import sys
import time

_LOGGER = logging.getLogger("edge_agent")


class _Format(logging.Formatter):
    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._json = as_json

    def format(self, record: logging.LogRecord) -> str:
        level, name = record.levelname.lower(), record.getMessage()
        facts: dict[str, object] = record.__dict__["facts"]
        if self._json:
            return json.dumps({"time": round(record.created, 6), "level": level, "event": name, **facts})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        return " ".join([stamp, level, name, *(f"{key}={_text(value)}" for key, value in facts.items())])


def _text(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c == '"' for c in text) else text


def start(level: str, as_json: bool) -> None:
    """Send the events of all of `edge_agent` to stdout, where journald or a terminal takes them."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Format(as_json))
    _LOGGER.handlers[:] = [handler]
    _LOGGER.setLevel(level.upper())
    _LOGGER.propagate = False


def event(level: int, name: str, **facts: object) -> None:
    """Log event `name` (dotted, stable) at `level` of `logging`, with `facts`; bytes appear in hex."""
    if _LOGGER.isEnabledFor(level):
        shown = {key: value.hex() if isinstance(value, bytes) else value for key, value in facts.items()}
        _LOGGER.log(level, name, extra={"facts": shown})


def debug(name: str, **facts: object) -> None:
    """An event for whoever looks for a fault."""
    event(logging.DEBUG, name, **facts)


def info(name: str, **facts: object) -> None:
    """An event of normal work."""
    event(logging.INFO, name, **facts)


def warning(name: str, **facts: object) -> None:
    """Something went wrong and mends itself."""
    event(logging.WARNING, name, **facts)


def error(name: str, **facts: object) -> None:
    """Something that someone must look at."""
    event(logging.ERROR, name, **facts)
