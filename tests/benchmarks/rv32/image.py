"""Makes the file system that is in the virtual machine's memory. It has the modules of `guest`. It also has the lock's
software, if the ELF file does not have this software."""

import contextlib
import io
import tempfile
from pathlib import Path

from mpremote.romfs import make_romfs

from tools.software import compile_lean, lean_sources, needed

GUEST = Path(__file__).parent / "guest"
QEMU = "qemu-system-riscv32 was not found. Install qemu for RISC-V (Debian: qemu-system-misc, later qemu-system-riscv)"


def romfs(frozen: bool) -> bytes:
    """Return a ROMFS image with the modules of `guest`. If the lock's software is not `frozen` in the ELF file, the
    image has this software too."""
    content = {path.name: path.read_bytes() for path in sorted(GUEST.glob("*.py"))}
    compiled = compile_lean(content, "rv32imc")
    if not frozen:
        compiled.update(compile_lean(lean_sources(needed())[0], "rv32imc"))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for path, data in compiled.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        image: bytes = make_romfs(folder, mpy_cross=False)
    return image
