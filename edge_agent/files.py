"""Small files of the state directory. They are replaced as a whole, so a reader sees the old one or the new one."""

import os
from pathlib import Path


def replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Write `content` to the file at `path`, readable by its owner only (mode 0600). Raises OSError.

    With `durable` the content survives a power cut after the return. Without it, the SD card is spared two flushes.
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
            # The new name is stored in the directory, which needs a flush of its own.
            os.fsync(folder)
        finally:
            os.close(folder)
