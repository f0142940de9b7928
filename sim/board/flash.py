"""The lock's flash from outside: make a blank image, look into its partitions, count what was done to it."""

import signal
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ConfigError
from sim.board import layout


@dataclass(frozen=True)
class Operations:
    """What the board did to its flash since it last booted; `cut` tells that its power was cut."""

    programs: int
    erases: int
    programmed_bytes: int
    cut: bool

    @property
    def total(self) -> int:
        """Programs and erases: the range of `n` in MOORING_POWER_CUT for the same run."""
        return self.programs + self.erases


def create(path: Path) -> Path:
    """Write a blank (erased) image to `path`, replacing any; its folder is made if need be. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([layout.ERASED]) * layout.IMAGE_SIZE)
    Path(f"{path}{layout.OPERATIONS_SUFFIX}").unlink(missing_ok=True)
    return path


def partition(path: Path, label: str) -> bytes:
    """Contents of one partition. Raises ConfigError `flash.partition`, `flash.image`."""
    image = path.read_bytes()
    if len(image) != layout.IMAGE_SIZE:
        raise ConfigError("flash.image", f"{path.name} is not a flash image of {layout.IMAGE_SIZE} bytes")
    for name, _kind, _subtype, offset, size in layout.PARTITIONS:
        if name == label:
            return image[offset : offset + size]
    raise ConfigError("flash.partition", f"no partition {label!r}")


def journal(path: Path, settings: Mapping[str, str]) -> bytes:
    """Contents of the journal's partition, which `settings` (environment of the stand-ins) may have made smaller."""
    size = int(settings.get("MOORING_JOURNAL_SECTORS", 0)) * layout.SECTOR
    held = partition(path, "journal")
    return held[:size] if size else held


def operations(path: Path) -> Operations:
    """Counters of the last boot on this image; all zero if there was none."""
    counters = Path(f"{path}{layout.OPERATIONS_SUFFIX}")
    if not counters.exists() or counters.stat().st_size < struct.calcsize(layout.OPERATIONS_FORMAT):
        return Operations(0, 0, 0, False)
    programs, erases, programmed, cut = struct.unpack(layout.OPERATIONS_FORMAT, counters.read_bytes())
    return Operations(programs, erases, programmed, bool(cut))


def power_was_cut(status: int) -> bool:
    """Is `status`, a returncode as of `subprocess`, that of a board whose power was cut?

    The CPython runtime exits with 66; MicroPython, which cannot leave without cleaning up, is ended by SIGPWR.
    """
    return status == layout.POWER_CUT_EXIT or status == -getattr(signal, "SIGPWR", signal.SIGKILL)
