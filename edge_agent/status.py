"""Finds out for the `status` command whether an agent runs on a state directory, and which facts it last wrote."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent import database, files
from protocol.errors import StorageError

_LOCK = "agent.lock"
_FILE = "status.json"


@contextlib.contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Keep the state directory for this process alone.

    Raises StorageError: `outbox.busy` if another agent uses the directory, `outbox.access` if this user may not use the
    directory. The system releases a file lock when the process ends, even after a crash. So a dead agent leaves nothing
    to clean up.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(state_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        advice = f"cannot use {state_dir}: {error.strerror}. Check state_dir and its permissions."
        raise StorageError("outbox.access", advice) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError("outbox.busy", f"another agent runs on {state_dir}. Stop it first.") from None
        yield
    finally:
        os.close(handle)


def is_running(state_dir: Path) -> bool:
    """Return True if an agent runs on the state directory.

    Raises StorageError `outbox.access` if this user may not look.
    """
    try:
        handle = os.open(state_dir / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise database.no_access(state_dir / _LOCK, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def write(state_dir: Path, facts: dict[str, object]) -> None:
    """Replace the facts that the agent shows about itself. Call this only when a fact changes, to spare the SD card."""
    # Ignore an error: if the disk is full, the agent must still deliver records. `status` then shows older facts. The
    # file need not survive a power cut, because it is only used while the agent runs.
    with contextlib.suppress(OSError):
        files.replace(state_dir / _FILE, json.dumps(facts).encode(), durable=False)


def read(state_dir: Path) -> dict[str, Any]:
    """Return the facts that the agent last wrote; empty if the file is missing or unreadable."""
    try:
        content = json.loads((state_dir / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def remove(state_dir: Path) -> None:
    """Delete the file. The agent calls this at a clean stop."""
    with contextlib.suppress(OSError):
        (state_dir / _FILE).unlink(missing_ok=True)
