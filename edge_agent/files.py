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
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # The directory stores the new name of the file, so the directory must be flushed too.
            os.fsync(folder)
        finally:
            os.close(folder)
