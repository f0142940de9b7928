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
import time
import tty
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from sim.board import flash, interpreter

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
if {hardware}:
    import bluetooth, machine
    from esp32 import Partition
    Partition.find(Partition.TYPE_DATA, label="journal")  # opens its image, while the host's files can be seen
vfs.umount("/")
try:
    vfs.mount(vfs.VfsLfs2(disk), "/")
except OSError:
    vfs.VfsLfs2.mkfs(disk)
    vfs.mount(vfs.VfsLfs2(disk), "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
print("board is up")
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
    for name in ("layout", "line"):
        shutil.copy(interpreter.ROOT / "sim" / "board" / f"{name}.py", board)
    for module in interpreter.STAND_INS.glob("*.py"):
        shutil.copy(module, folder)
    return folder


class PtyBoard:
    """Runs while in a `with` block; `port` is what a serial port's device name would be.

    `extra` is run before the prompt appears; without `hardware` there are no ESP32 modules. The board loses the first
    `deaf` bytes that come in, and is unplugged at the `cut_after`th. After Ctrl-C, a program has `patience` seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        extra: str = "",
        hardware: bool = True,
        cut_after: int | None = None,
        deaf: int = 0,
        patience: float = 2.0,
    ) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        disk = folder / "disk"
        if not disk.exists():
            disk.write_bytes(b"\xff" * _DISK_BYTES)
            flash.create(folder / "flash")
            stand_ins(folder / "modules")
        prelude = _PRELUDE.format(disk=str(disk), blocks=_DISK_BYTES // 4096, hardware=hardware, extra=extra)
        (folder / "prompt.py").write_text(prelude)
        (folder / "start.py").write_text(prelude + _RUN_MAIN)
        modules = folder / "modules" if hardware else folder / "none"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("MOORING_")},
            "MICROPYPATH": f"{modules}:.frozen",
            "MOORING_FLASH": str(folder / "flash"),
        }
        self._cut_after = cut_after
        self._deaf = deaf
        self._booted = False
        self._patience = patience
        self._interrupt_at = 0.0
        self._console = b""
        self._said = threading.Condition()
        self.written = 0
        """Bytes that came in."""
        self.port = ""

    @property
    def console(self) -> str:
        """All that the board has sent."""
        return self._console.decode("utf-8", "replace")

    def wait_for(self, text: str, times: int = 1, timeout: float = 15) -> None:
        """Wait until the board has sent `text` so many times."""
        with self._said:
            arrived = self._said.wait_for(lambda: self._console.count(text.encode()) >= times, timeout)
        assert arrived, self.console[-1500:]

    def __enter__(self) -> "PtyBoard":
        self._host, self._line = pty.openpty()
        tty.setraw(self._line)
        self.port = os.ttyname(self._line)
        self._wake_in, self._wake_out = os.pipe()
        self._power_on("start.py")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._wake_out, b"x")
        self._thread.join()
        self._power_off()
        for descriptor in (self._host, self._line, self._wake_in, self._wake_out):
            with suppress(OSError):
                os.close(descriptor)

    def _power_on(self, script: str) -> None:
        self._chip, own = pty.openpty()
        self._booted = False
        tty.setraw(own)
        # The prompt takes this flag away and running a program brings it back: so `_interrupt` can tell the two apart.
        mode = termios.tcgetattr(own)
        mode[3] |= termios.ISIG
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
        )
        os.close(own)

    def _power_off(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            os.close(self._chip)

    def _run(self) -> None:
        raw = False
        waiting = b""
        while True:
            # What comes in before the interpreter is up waits, where a chip would lose it; `deaf` is for that.
            listening = [self._host, self._chip] if self._booted else [self._chip]
            ready = select.select([*listening, self._wake_in], [], [], 0.002 if waiting else None)[0]
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
                lost = min(self._deaf, len(data))
                self._deaf -= lost
                waiting += data[lost:]
                for byte in data[lost:]:
                    raw = byte == 1 or (raw and byte != 2)
            if self._chip in ready:
                try:
                    data = os.read(self._chip, 4096)
                except OSError:  # EIO: the process has ended
                    data = b""
                if data:
                    self._booted = self._booted or b"board is up" in data
                    self._send(data)
                else:
                    soft = self._process.wait() == 0 and raw
                    os.close(self._chip)
                    self._power_on("prompt.py" if soft else "start.py")
                    raw = soft
                    waiting = b"\x01" if soft else b""
                    if soft:
                        self._send(b"MPY: soft reboot\r\n")
            if waiting and self._booted:
                waiting = self._feed(waiting)

    def _feed(self, data: bytes) -> bytes:
        """Give `data` to the interpreter if it is at its prompt. Returns what has to wait.

        Ctrl-C interrupts a running program, as it does on the chip; but here the signal strikes in the middle of
        anything, the heap's own upkeep included, so programs that end by themselves are left to do so. What follows it
        waits, for taking up the prompt discards it here, though not on the chip.
        """
        if not termios.tcgetattr(self._chip)[3] & termios.ISIG:
            self._interrupt_at = 0.0
            os.write(self._chip, data)
            return b""
        if b"\x03" not in data:
            return data
        now = time.monotonic()
        self._interrupt_at = self._interrupt_at or now + self._patience
        if now < self._interrupt_at:
            return data
        self._interrupt_at = 0.0
        self._process.send_signal(signal.SIGINT)
        return data.replace(b"\x03", b"")

    def _send(self, data: bytes) -> None:
        os.write(self._host, data)
        with self._said:
            self._console += data
            self._said.notify_all()
