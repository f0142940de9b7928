"""Small files of the state directory. A file is replaced as a whole: a reader sees the old or the new content."""

import os
from pathlib import Path


def replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Write `content` to the file at `path`, readable by its owner only (mode 0600). Raises OSError.

    If `durable` is true, the content is safe from a power cut after the return. If `durable` is false, the SD card
    wears less.
    """
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if durable:
        _flush_names(path.parent)


def move(path: Path, place: Path) -> None:
    """Rename the file at `path` to `place`, in the same folder, safe from a power cut. Raises OSError."""
    path.replace(place)
    _flush_names(place.parent)


def _flush_names(folder: Path) -> None:
    """Flush a directory, because the directory stores the names of its files. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
