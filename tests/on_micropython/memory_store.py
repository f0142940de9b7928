"""A store of files in RAM, for both runtimes."""


class MemoryStore:
    """Replaces `Store`. The files survive a reboot, and nothing wears out."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, name: str) -> "bytes | None":
        """Do as `Store.read`."""
        return self.files.get(name)

    def write(self, name: str, content: bytes) -> None:
        """Do as `Store.write`."""
        self.files[name] = content
