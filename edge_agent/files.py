"""Small files of the state directory, replaced as a whole: whoever reads one sees the old or the new."""

import os
from pathlib import Path


def replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Make `content` the file at `path`, for its owner alone (mode 0600). Raises OSError.

    With `durable` it outlives a power cut once this has returned; without, it spares the card two flushes.
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
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # The new name is in the directory, which has a flush of its own.
            os.fsync(folder)
        finally:
            os.close(folder)
