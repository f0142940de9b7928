"""Small named files that change whole or not at all: a new file is written beside the old one and renamed over it.

littlefs makes the rename atomic and `close` durable, so a power cut leaves the old content or the new, never a mixture.
"""

import os

from protocol import const
from protocol.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW = const(".new")


class Store:
    """The files of one folder (on the lock: the littlefs mount)."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, name: str) -> "bytes | None":
        """Content of `name`, or None if it was never written. Raises StorageError `store.read`."""
        try:
            with open(self._path(name), "rb") as file:
                return bytes(file.read())
        except OSError as error:
            if error.args[0] == 2:  # ENOENT
                return None
            raise StorageError("store.read", name)

    def write(self, name: str, content: bytes) -> None:
        """Replace `name`; on return the content is durable. Raises StorageError `store.write`; then the old stands."""
        self.write_parts(name, (content,))

    def write_parts(self, name: str, parts: "Iterable[bytes | bytearray]") -> None:
        """As `write`, of content that comes in parts. What making them raises is raised, and the old content stands."""
        path = self._path(name)
        try:
            with open(path + _NEW, "wb") as file:
                for part in parts:
                    file.write(part)
            os.rename(path + _NEW, path)
        except OSError:
            raise StorageError("store.write", name)

    def read_part(self, name: str, at: int, length: int) -> bytes:
        """`length` bytes from `at` on, fewer where the file ends; none of one that was never written.

        Raises StorageError `store.read`.
        """
        try:
            with open(self._path(name), "rb") as file:
                file.seek(at)
                return bytes(file.read(length))
        except OSError as error:
            if error.args[0] == 2:  # ENOENT
                return b""
            raise StorageError("store.read", name)

    def size(self, name: str) -> int:
        """Bytes in `name`. Raises StorageError `store.read`, also for a file that was never written."""
        try:
            return int(os.stat(self._path(name))[6])
        except OSError:
            raise StorageError("store.read", name)

    def _path(self, name: str) -> str:
        return self._folder + "/" + name
