"""A board on a serial port: the real MicroPython on a pty, with littlefs mounted on "/" as on the ESP32.

A process that has ended cannot start itself again. So this module starts a new process after each reset, soft reset
or power-on. `bus` shows what the software does with its pins. A watchdog that is not fed resets the board.
"""

import asyncio
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from sim.board import flash, interpreter
from sim.board.bus import BoardBus
from sim.board.layout import SECTOR
from sim.hang import HANG_SECONDS
from sim.loopback import serving

_RING = 260
"""Maximum number of unread input bytes that the port keeps."""

_DISK_BYTES = 0x1C0000
"""Size of the vfs partition of the reference board. The simulator's image is smaller, because its locks load their
software from the host's files.
"""

_PRELUDE = """
import micropython, os, sys, vfs
sys.path.insert(0, {modules!r})
from sim.board.memory_flash import MemoryFlash
class Disk(MemoryFlash):
    def __init__(self):
        super().__init__({sectors}, b"")
        self.file = open({disk!r}, "r+b")  # instead of memory, so that the content outlives the process
    def load(self, at, buffer):
        self.file.seek(at)
        self.file.readinto(buffer)
    def store(self, at, data):
        self.file.seek(at)
        self.file.write(data)
    def ioctl(self, operation, argument):
        if operation == 3:
            self.file.flush()
        return super().ioctl(operation, argument)
disk = Disk()
if {hardware}:
    import bluetooth, machine
    from esp32 import Partition
    Partition.find(Partition.TYPE_DATA, label="journal")  # opens its image, while the host's files can be seen
# From here on as the port does it: what is typed waits, and Ctrl-C is a byte like others, but while a file runs.
micropython.kbd_intr(-1)
{before}
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
def _run(path):
    try:
        with open(path) as file:
            # Ctrl-C is heard from just before the first line on.
            code = compile("_listen(3)\\n" + file.read(), path, "exec")
    except OSError:
        return
    try:
        exec(code, {{"__name__": "__main__", "_listen": micropython.kbd_intr}})
    finally:
        micropython.kbd_intr(-1)
_run("/boot.py")
"""
"""Does the work of the port's main.c and `_boot.py` at a start. If boot.py raises, only a prompt follows.

The file system lies on the project's emulated flash. Only the storage differs: the content is in a separate file, which
nobody else reads. A board without ESP32 modules has such a file too.
"""

_RUN_MAIN = """
_run("/main.py")
"""


def stand_ins(folder: Path) -> Path:
    """Copy the stand-ins for hardware modules into `folder`, and return `folder`. Firmware and protocol are not copied.

    The modules that the stand-ins import are copied too.
    """
    board = folder / "sim" / "board"
    board.mkdir(parents=True)
    (folder / "sim" / "__init__.py").touch()
    (board / "__init__.py").touch()
    for name in ("layout", "line", "memory_flash", "nor_flash"):
        shutil.copy(interpreter.ROOT / "sim" / "board" / f"{name}.py", board)
    for module in interpreter.STAND_INS.glob("*.py"):
        shutil.copy(module, folder)
    return folder


async def _radio(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Act as a radio chip that never hears anybody. The chip only sends its own address (see
    `sim/radio/lock_radio.py`).
    """
    writer.write(struct.pack(">HBHH", 6, 100, 0, 0) + b"\xf0\0\0\0\0\x01")
    while await reader.read(4096):
        pass


class PtyBoard:
    """A board that runs inside a `with` block. `port` takes the place of a serial port's device name.

    The code `extra` is run before boot.py. The code `before` is run before `extra`, while the files of the host are
    still visible. If `hardware` is false, there are no ESP32 modules. The board loses the first `deaf` bytes of its
    input, and is unplugged when it has received more than `cut_after` bytes. After Ctrl-C, a program has `patience`
    seconds to end by itself. `starts` counts all starts of the board.
    """

    def __init__(
        self,
        folder: Path,
        *,
        extra: str = "",
        before: str = "",
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
        prelude = _PRELUDE.format(
            modules=str(folder / "modules"),
            disk=str(disk),
            sectors=_DISK_BYTES // SECTOR,
            hardware=hardware,
            before=before,
            extra=extra,
        )
        (folder / "prompt.py").write_text(prelude)
        (folder / "start.py").write_text(prelude + _RUN_MAIN)
        modules = folder / "modules" if hardware else folder / "none"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("MOORING_")},
            "MICROPYPATH": f"{modules}:.frozen",
            "MOORING_FLASH": str(folder / "flash"),
            "MOORING_PROMPT": "1",
        }
        self.bus = BoardBus(self._expire)
        self.starts = 0
        self._cut_after = cut_after
        self._deaf = deaf
        self.awake = threading.Event()
        """This event is set once the board has lost its first `deaf` bytes."""
        self._booted = False
        self._patience = patience
        self._interrupt_at = 0.0
        self._console = b""
        self._said = threading.Condition()
        self.written = 0
        """Number of bytes that the board has received."""
        self.port = ""

    @property
    def console(self) -> str:
        """Everything that the board has sent."""
        return self._console.decode("utf-8", "replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the board has sent `text` at least `times` times."""
        with self._said:
            said = self._said.wait_for(lambda: self._console.count(text.encode()) >= times, HANG_SECONDS)
        assert said, f"the board has not said {text!r} {times} times: {self.console[-2000:]}"

    def __enter__(self) -> "PtyBoard":
        self._host, self._line = pty.openpty()
        tty.setraw(self._line)
        self.port = os.ttyname(self._line)
        self._wake_in, self._wake_out = os.pipe()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Thread(target=self._loop.run_forever)
        self._listening.start()
        self._on_loop(self._listen())
        self._environment.update({"MOORING_BOARD": self.bus.address, "MOORING_RADIO": self._radio})
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
        self._on_loop(self._stop_listening())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._listening.join()
        self._loop.close()
        for descriptor in (self._host, self._line, self._wake_in, self._wake_out):
            with suppress(OSError):
                os.close(descriptor)

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(HANG_SECONDS)

    async def _listen(self) -> None:
        self._servers = AsyncExitStack()
        await self._servers.enter_async_context(self.bus.listening())
        self._radio = await self._servers.enter_async_context(serving(_radio))

    async def _stop_listening(self) -> None:
        await self._servers.aclose()

    def wire(self, pin: int, level: int) -> None:
        """Set the level of an input pin. The level stays the same when the board is reset."""

        async def drive() -> None:
            self.bus.set_input(pin, level)

        self._on_loop(drive())

    def wait_for_pin(self, pin: int, level: int) -> None:
        """Wait until the board has set the output `pin` to `level`."""

        async def wait() -> None:
            await self.bus.wait_for(pin, level)

        self._on_loop(wait())

    def _expire(self) -> None:
        self._process.kill()

    def _power_on(self, script: str) -> None:
        self._chip, own = pty.openpty()
        self._booted = False
        self._serves = False
        self._own = os.ttyname(own)
        self.starts += 1
        tty.setraw(own)
        # The prompt clears ISIG, and a running program sets it again. So `_feed` can see whether a program is running.
        mode = termios.tcgetattr(own)
        mode[3] |= termios.ISIG
        for key in (termios.VINTR, termios.VQUIT, termios.VSUSP):
            mode[6][key] = b"\0"  # these keys have no special meaning on a serial line
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
            # Input waits until the interpreter is up. A chip would lose such input; use `deaf` to imitate this.
            listening = [self._host, self._chip] if self._booted else [self._chip]
            ready = select.select([*listening, self._wake_in], [], [], 0.002 if waiting else None)[0]
            if self._wake_in in ready:
                return
            if self._host in ready:
                data = os.read(self._host, 4096)
                self.written += len(data)
                if self._cut_after is not None and self.written > self._cut_after:
                    # The board is unplugged. The device node of the port disappears, even for a program that has this
                    # node open.
                    self._power_off()
                    os.close(self._line)
                    os.close(self._host)
                    return
                lost = min(self._deaf, len(data))
                self._deaf -= lost
                if not self._deaf:
                    self.awake.set()
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
                    # After these lines, the console of a lock in service reads the input. Before these lines, nothing
                    # reads the input.
                    self._serves = self._serves or b" lock.ready" in data or b" lock.halted" in data
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
        """Give `data` to the interpreter if it is at its prompt or runs a lock that listens. Return the rest.

        Ctrl-C interrupts a running program, as on the chip. But here the signal can arrive at any moment, even during
        work on the heap. So a program first gets some time to end by itself. Input that follows a Ctrl-C is held back
        until the prompt has appeared, because the prompt here discards all earlier input. The prompt of the chip does
        not discard any input.
        """
        if not termios.tcgetattr(self._chip)[3] & termios.ISIG:
            self._interrupt_at = 0.0
            os.write(self._chip, data)
            return b""
        if not self._is_interruptible():
            if not self._serves:
                return data[:_RING]
            if room := max(0, _RING - self._unread()):
                os.write(self._chip, data[:room])
            return b""
        if b"\x03" not in data:
            return data
        now = time.monotonic()
        self._interrupt_at = self._interrupt_at or now + self._patience
        if now < self._interrupt_at:
            return data
        self._interrupt_at = 0.0
        # Stop the process first. Then the program that is checked here is also the program that is interrupted.
        self._process.send_signal(signal.SIGSTOP)
        while self._process.poll() is None and self._status("State:") not in ("T", ""):
            pass
        if self._is_interruptible():
            self._process.send_signal(signal.SIGINT)
            data = data.replace(b"\x03", b"")
        self._process.send_signal(signal.SIGCONT)
        return data

    def _unread(self) -> int:
        """Return the number of bytes that the program has not read yet."""
        line = os.open(self._own, os.O_RDWR | os.O_NOCTTY)
        try:
            return int(struct.unpack("i", fcntl.ioctl(line, termios.FIONREAD, bytes(4)))[0])
        finally:
            os.close(line)

    def _is_interruptible(self) -> bool:
        """Return whether the interpreter catches SIGINT. If so, Ctrl-C would stop the running program.

        Only Linux can tell this. Other systems always give True.
        """
        caught = self._status("SigCgt:")
        return not caught or bool(int(caught, 16) >> signal.SIGINT - 1 & 1)

    def _status(self, field: str) -> str:
        try:
            return Path(f"/proc/{self._process.pid}/status").read_text().split(field)[1].split()[0]
        except (OSError, IndexError):
            return ""

    def _send(self, data: bytes) -> None:
        os.write(self._host, data)
        with self._said:
            self._console += data
            self._said.notify_all()
