"""Small named files that change as a whole or not at all.

New content is written to a second file, which is then renamed and replaces the old file. littlefs makes the rename
atomic and `close` durable. So after a power cut, the file has the old content or the new content, never a mixture.
"""

import os

from protocol import const
from protocol.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW = const(".new")


class Store:
    """The files of one folder. On the lock, this is the folder where littlefs is mounted."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, name: str) -> "bytes | None":
        """Return the content of `name`, or None if it was never written. Raises StorageError `store.read`."""
        try:
            with open(self._path(name), "rb") as file:
                return bytes(file.read())
        except OSError as error:
            if error.args[0] == 2:  # ENOENT
                return None
            raise StorageError("store.read", name)

    def write(self, name: str, content: bytes) -> None:
        """Replace the content of `name`. On return, the new content is durable. Raises StorageError `store.write`, and
        then nothing has changed."""
        self.write_parts(name, (content,))

    def write_parts(self, name: str, parts: "Iterable[bytes | bytearray]") -> None:
        """Do what `write` does, for content that comes in parts. An error of `parts` is passed on, and then nothing has
        changed.
        """
        path = self._path(name)
        try:
            with open(path + _NEW, "wb") as file:
                for part in parts:
                    file.write(part)
            os.rename(path + _NEW, path)
        except OSError:
            raise StorageError("store.write", name)

    def read_part(self, name: str, at: int, length: int) -> bytes:
        """Read `length` bytes, beginning at offset `at`, or fewer at the end of the file. Returns no bytes for a file
        that was never written.

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
        """Return the number of bytes in `name`. Raises StorageError `store.read`, also for a file that was never
        written."""
        try:
            return int(os.stat(self._path(name))[6])
        except OSError:
            raise StorageError("store.read", name)

    def _path(self, name: str) -> str:
        return self._folder + "/" + name
