"""A board on a serial port: the real MicroPython on a pty, with littlefs mounted on "/" as on the ESP32.

Reset, soft reset and power-on are what a process that ends and starts anew cannot do by itself; this does them for it.
"""

import os
import pty
import select
import shutil
import signal
import subprocess
import termios
import threading
import tty
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from sim.board import flash, interpreter, layout

_DISK_BYTES = 0x1C0000
"""The vfs partition of the reference board."""

_PRELUDE = """
import os, sys, vfs
class Disk:
    def __init__(self):
        self.file = open({disk!r}, "r+b")
    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buffer)
    def ioctl(self, operation, argument):
        if operation == 3:
            self.file.flush()
        return {{4: {blocks}, 5: 4096}}.get(operation, 0)
disk = Disk()
for name in {hardware}:
    __import__(name)
vfs.umount("/")
try:
    vfs.mount(vfs.VfsLfs2(disk), "/")
except OSError:
    vfs.VfsLfs2.mkfs(disk)
    vfs.mount(vfs.VfsLfs2(disk), "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
{extra}
"""

_RUN_MAIN = """
try:
    os.stat("/main.py")
except OSError:
    pass
else:
    exec(open("/main.py").read(), {"__name__": "__main__"})
"""


def stand_ins(folder: Path) -> Path:
    """The stand-ins for hardware modules, and what they need themselves, in a folder without firmware or protocol."""
    board = folder / "sim" / "board"
    board.mkdir(parents=True)
    (folder / "sim" / "__init__.py").touch()
    (board / "__init__.py").touch()
    for module in ("layout", "line"):
        shutil.copy(interpreter.ROOT / "sim" / "board" / f"{module}.py", board)
    for module in interpreter.STAND_INS.glob("*.py"):
        shutil.copy(module, folder)
    return folder


class PtyBoard:
    """Runs while in a `with` block; `port` is what a serial port's device name would be.

    `extra` is run before the prompt appears; without `hardware` there are no ESP32 modules. `cut_after` unplugs the board once
    that many bytes have come in.
    """

    def __init__(self, folder: Path, *, extra: str = "", hardware: bool = True, cut_after: int | None = None) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        disk = folder / "disk"
        if not disk.exists():
            disk.write_bytes(b"\xff" * _DISK_BYTES)
            flash.create(folder / "flash")
            stand_ins(folder / "modules")
        names = ["machine", "esp32", "bluetooth"] if hardware else []
        prelude = _PRELUDE.format(disk=str(disk), blocks=_DISK_BYTES // 4096, hardware=names, extra=extra)
        (folder / "prompt.py").write_text(prelude)
        (folder / "start.py").write_text(prelude + _RUN_MAIN)
        modules = folder / "modules" if hardware else folder / "none"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("MOORING_")},
            "MICROPYPATH": f"{modules}:.frozen",
            "MOORING_FLASH": str(folder / "flash"),
        }
        self._cut_after = cut_after
        self._console = b""
        self._said = threading.Condition()
        self.written = 0
        """Bytes that came in."""
        self.port = ""

    @property
    def console(self) -> str:
        """All that the board has sent."""
        return self._console.decode("utf-8", "replace")

    def wait_for(self, text: str, timeout: float = 15) -> None:
        """Wait until the board has sent `text`."""
        with self._said:
            assert self._said.wait_for(lambda: text.encode() in self._console, timeout), self.console[-1500:]

    def __enter__(self) -> "PtyBoard":
        self._host, self._line = pty.openpty()
        tty.setraw(self._line)
        self.port = os.ttyname(self._line)
        self._wake_in, self._wake_out = os.pipe()
        self._power_on("start.py")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.write(self._wake_out, b"x")
        self._thread.join()
        self._power_off()
        for descriptor in (self._host, self._line, self._wake_in, self._wake_out):
            with suppress(OSError):
                os.close(descriptor)

    def _power_on(self, script: str) -> None:
        self._chip, own = pty.openpty()
        settings = tty.cfmakeraw if hasattr(tty, "cfmakeraw") else None
        del settings
        tty.setraw(own)
        # Ctrl-C interrupts a running program here as it does on the chip; at the prompt it is an ordinary character.
        mode = termios.tcgetattr(own)
        mode[3] |= termios.ISIG
        mode[6][termios.VQUIT] = mode[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(own, termios.TCSANOW, mode)
        command = [interpreter.find().program, "-X", f"heapsize={interpreter.HEAP}", "-i", str(self._folder / script)]
        self._process = subprocess.Popen(
            command,
            stdin=own,
            stdout=own,
            stderr=own,
            env=self._environment,
            cwd=self._folder,
            start_new_session=True,
            preexec_fn=lambda: _own_terminal(own),
        )
        os.close(own)

    def _power_off(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            os.close(self._chip)

    def _run(self) -> None:
        raw = False
        while True:
            ready = select.select([self._host, self._chip, self._wake_in], [], [])[0]
            if self._wake_in in ready:
                return
            if self._host in ready:
                data = os.read(self._host, 4096)
                self.written += len(data)
                if self._cut_after is not None and self.written > self._cut_after:
                    # Unplugged: the device node goes away under whoever holds it.
                    self._power_off()
                    os.close(self._line)
                    os.close(self._host)
                    return
                for byte in data:
                    raw = byte == 1 or (raw and byte != 2)
                os.write(self._chip, data)
            if self._chip in ready:
                try:
                    data = os.read(self._chip, 4096)
                except OSError:  # EIO: the process has ended
                    data = b""
                if data:
                    self._send(data)
                    continue
                status = self._process.wait()
                os.close(self._chip)
                if raw and status == 0:
                    self._send(b"MPY: soft reboot\r\n")
                    self._power_on("prompt.py")
                    os.write(self._chip, b"\x01")
                else:
                    raw = False
                    self._power_on("start.py")

    def _send(self, data: bytes) -> None:
        os.write(self._host, data)
        with self._said:
            self._console += data
            self._said.notify_all()


def _own_terminal(descriptor: int) -> None:
    import fcntl

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


assert layout.RESET_EXIT and signal.SIGINT
