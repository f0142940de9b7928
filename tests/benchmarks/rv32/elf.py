"""Checks that an ELF file is for RV32, and reads where its symbols are."""

import struct
from pathlib import Path

from protocol.errors import ConfigError

_RISCV = 243
_SYMBOL_TABLE = 2
_HOW = "Give the file firmware.elf that MicroPython's ports/qemu makes for BOARD=VIRT_RV32"


def symbol(path: Path, name: str) -> int:
    """Return the address of the symbol `name` in the ELF file at `path`.

    Raises ConfigError `elf.unreadable`, `elf.foreign` (not for 32-bit RISC-V) or `elf.symbols` (no such symbol).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("elf.unreadable", f"{path} cannot be read: {error.strerror}. {_HOW}") from None
    if len(data) < 52 or data[:6] != b"\x7fELF\x01\x01" or struct.unpack_from("<H", data, 18)[0] != _RISCV:
        raise ConfigError("elf.foreign", f"{path} is no program for 32-bit RISC-V. {_HOW}")
    try:
        found = _find(data, name.encode())
    except (struct.error, IndexError, ValueError):
        raise ConfigError("elf.foreign", f"{path} is damaged. {_HOW}") from None
    if found is None:
        raise ConfigError("elf.symbols", f"{path} has no symbol {name}. {_HOW}, and do not strip it")
    return found


def freezes(path: Path) -> bool:
    """Return whether the lock's modules are frozen in the ELF file at `path`."""
    return b"\0firmware/main.py\0" in path.read_bytes()


def _find(data: bytes, name: bytes) -> int | None:
    (sections,) = struct.unpack_from("<I", data, 32)
    size, count = struct.unpack_from("<HH", data, 46)
    table = [struct.unpack_from("<10I", data, sections + size * number) for number in range(count)]
    for section in table:
        if section[1] != _SYMBOL_TABLE:
            continue
        offset, length, names, entry = section[4], section[5], table[section[6]][4], section[9]
        for at in range(offset, offset + length, entry):
            named, address = struct.unpack_from("<II", data, at)
            if data[names + named : data.index(b"\0", names + named)] == name:
                return int(address)
    return None
