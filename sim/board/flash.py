"""The lock's flash from outside: make a blank image, read its partitions, count its operations."""

import signal
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ConfigError
from sim.board import layout

_BLANK = bytes([layout.ERASED]) * 64
"""Part of an erased sector. Written data may contain shorter runs of such bytes."""


@dataclass(frozen=True)
class Operations:
    """Number of operations on the flash since the board's last boot. `cut` says whether the power was cut."""

    programs: int
    erases: int
    programmed_bytes: int
    cut: bool

    @property
    def total(self) -> int:
        """Number of programs and erases.

        If the same run is repeated with a MOORING_POWER_CUT above this number, the power is not cut.
        """
        return self.programs + self.erases


def create(path: Path) -> Path:
    """Write a blank (erased) image to `path`, and make its folder if needed. Returns `path`.

    An older image at `path` is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([layout.ERASED]) * layout.IMAGE_SIZE)
    Path(f"{path}{layout.OPERATIONS_SUFFIX}").unlink(missing_ok=True)
    return path


def content(path: Path) -> bytes:
    """Return the content of a file. If the file is a flash image, return only what was written, because a search of
    blank flash takes long.
    """
    held = path.read_bytes()
    return held.replace(_BLANK, b"") if len(held) == layout.IMAGE_SIZE else held


def partition(path: Path, label: str) -> bytes:
    """Return the content of the partition `label`.

    Raises ConfigError `flash.partition` for an unknown label, and `flash.image` if the image has a wrong size.
    """
    image = path.read_bytes()
    if len(image) != layout.IMAGE_SIZE:
        raise ConfigError("flash.image", f"{path.name} is not a flash image of {layout.IMAGE_SIZE} bytes")
    for name, _kind, _subtype, offset, size in layout.PARTITIONS:
        if name == label:
            return image[offset : offset + size]
    raise ConfigError("flash.partition", f"no partition {label!r}")


def journal(path: Path, settings: Mapping[str, str]) -> bytes:
    """Return the content of the journal's partition. `settings` is the environment of the stand-ins.

    A setting may make the partition smaller.
    """
    size = int(settings.get("MOORING_JOURNAL_SECTORS", 0)) * layout.SECTOR
    held = partition(path, "journal")
    return held[:size] if size else held


def operations(path: Path) -> Operations:
    """Return the counters since the last boot with this image, or zeros if no board has booted with it."""
    counters = Path(f"{path}{layout.OPERATIONS_SUFFIX}")
    if not counters.exists() or counters.stat().st_size < struct.calcsize(layout.OPERATIONS_FORMAT):
        return Operations(0, 0, 0, False)
    programs, erases, programmed, cut = struct.unpack(layout.OPERATIONS_FORMAT, counters.read_bytes())
    return Operations(programs, erases, programmed, bool(cut))


def power_was_cut(status: int) -> bool:
    """Return whether `status` shows that a board's power was cut. `status` is a returncode as in `subprocess`.

    The CPython runtime then exits with 66. MicroPython cannot exit without cleaning up, so SIGPWR ends its process.
    """
    return status == layout.POWER_CUT_EXIT or status == -getattr(signal, "SIGPWR", signal.SIGKILL)
