"""Makes a folder unreadable for this process, as the service's folder is unreadable for all other users."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Make `folder` unreadable in this block."""
    owner = os.geteuid()
    folder.chmod(0)
    if owner == 0:
        os.seteuid(65534)  # root can read everything
    try:
        yield
    finally:
        os.seteuid(owner)
        folder.chmod(0o700)
