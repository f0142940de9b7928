"""The virtual board. A RISC-V machine in qemu runs the firmware, and this process has the stand-ins for the other
chips.

The simulator starts `python -m tests.benchmarks.rv32.board ELF IMAGE MODE` instead of a lock. The stand-ins are those
of `sim/board/modules`, with their sockets to reader chip, radio and pins. The modules in `guest` run in the machine.
They have the names of the stand-ins, and call the stand-ins in this process. Each line of the lock's console gets two
more facts: `insn`, the number of instructions that the firmware has run, and `gc`, the number of its garbage
collections. The lines that this process adds begin with `rv32.`.
"""

import asyncio
import importlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError, MooringError
from sim.board import line
from tests.benchmarks.rv32 import elf, image
from tests.benchmarks.rv32.run import HEAP, THRESHOLD
from tests.benchmarks.rv32.signed import signed
from tests.benchmarks.rv32.wire import Uuid, decode, encode

SHIFT = 2
"""An instruction takes 2**SHIFT ns of the machine's clock. With 4 ns, this clock does not run ahead of the true time.
The lock would notice a clock that runs ahead."""
SLOW = 16
"""While a phone is served, the clocks of the machine and of this process differ by this factor. So it takes almost none
of the machine's time when the phone and the stand-ins compute, and a busy computer changes no count."""
_IMAGE_AT = 0x85000000
_FLASH_AT = 0x86000000
_GATTS_WRITE = 3
_SECOND_MS = 1000
_PIPES = "to-host", "from-host"
_ENDS = "tap.opened", "tap.refused", "tap.failed"


class Board:
    """Answers the machine's calls. The machine waits for each answer."""

    def __init__(self, pipes: Path, allocations: Path) -> None:
        self._devices: dict[str, Any] = {}
        self._events: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._marked = self._objects = self._own_objects = 0
        self._allocations = allocations
        self._insn = 0
        self._collections = 0
        self._serving = False
        self._waited = 0
        self._uart: Any = None
        self.stopped = False
        self._pipes = [os.open(pipes / name, os.O_RDWR) for name in _PIPES]

    async def serve(self, machine: "subprocess.Popen[bytes]") -> None:
        """Answer the machine until it stops. While the machine computes, nothing else runs here.

        Raises ConfigError `machine.ended` if the machine ends by itself.
        """
        while not self.stopped:
            while not select.select([self._pipes[0]], [], [], 1)[0]:
                if machine.poll() is not None:
                    raise ConfigError("machine.ended", f"the machine ended by itself, with code {machine.returncode}")
            self._write(await self._answer(self._read()))

    def _read(self) -> tuple[Any, ...]:
        size = int.from_bytes(self._exactly(4), "little")
        data = self._exactly(size)
        self._insn = int.from_bytes(data[:8], "little") >> SHIFT
        self._collections = int.from_bytes(data[8:12], "little")
        message: tuple[Any, ...] = decode(data[12:])
        return message

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self._pipes[0], size - len(data))
        return data

    def _write(self, answer: bytes) -> None:
        left = memoryview(len(answer).to_bytes(4, "little") + answer)
        while left:
            left = left[os.write(self._pipes[1], left) :]

    async def _answer(self, message: tuple[Any, ...]) -> bytes:
        try:
            if message[0] == "make":
                value = self._make(*message[1:])
            elif message[0] == "board":
                value = await getattr(self, "_" + message[1])(*message[2])
            else:
                device, method = self._device(message[0]), message[1]
                value = getattr(device, method)(*message[2], **message[3])
            return encode((False, self._plain(value)))
        except (OSError, ValueError, TypeError) as error:
            name = "OSError" if isinstance(error, OSError) else type(error).__name__
            return encode((name, [each for each in error.args if isinstance(each, int | str)]))

    def _plain(self, value: Any) -> Any:
        """Return `value`, with each UUID of the stand-ins replaced by a `Uuid` of the messages."""
        if type(value).__name__ == "UUID":
            return Uuid(bytes(value))
        if isinstance(value, tuple):
            return tuple(self._plain(each) for each in value)
        return value

    def _happened(self, *event: Any) -> None:
        self._events.append(self._plain(event))
        self._changed.set()

    def _from_thread(self, *event: Any) -> None:
        self._loop.call_soon_threadsafe(self._happened, *event)

    def _device(self, place: str) -> Any:
        if place == "BLE" and place not in self._devices:
            ble = importlib.import_module("bluetooth").BLE()
            ble.irq(self._on_radio)
            self._devices[place] = ble
        return self._devices[place]

    def _on_radio(self, event: int, data: tuple[Any, ...]) -> None:
        # On the chip, the handler reads a written value at once. Here, the next value may arrive before the handler
        # reads, so the event contains the value.
        written = (bytes(self._devices["BLE"].gatts_read(data[1])),) if event == _GATTS_WRITE else ()
        self._happened("ble", event, data, *written)

    def _make(self, place: str, kind: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Make a device. Returns the offset and the size of a partition, and None for anything else."""
        machine = importlib.import_module("machine")
        if kind == "Partition":
            partition = importlib.import_module("esp32").Partition
            found = partition.find(partition.TYPE_DATA, label=arguments[0])[0]
            self._devices[place] = _Partition(found)
            return found.info()[2:4]
        if kind == "Pin":
            self._devices[place] = _Pin(machine.Pin(*arguments, **options), lambda: self._happened(place), self._raised)
        elif kind == "Timer":
            self._devices[place] = _Timer(machine.Timer(*arguments), lambda: self._from_thread(place))
        else:
            self._devices[place] = getattr(machine, kind)(*arguments, **options)
            if kind == "UART":
                self._uart = self._devices[place]
        return None

    # --- what the machine asks of the board itself -----------------------------------------------------------------

    def _raised(self, pin: Any) -> None:
        self._say("rv32.raised", pin=repr(pin).strip("Pin()"))

    def _say(self, event: str, **facts: Any) -> None:
        words = " ".join(f"{name}={value}" for name, value in facts.items())
        print(f"{line.ticks()} {event} {words} {self._counted()}", flush=True)

    def _counted(self) -> str:
        return f"insn={self._insn} gc={self._collections}"

    async def _print(self, text: str) -> None:
        # The machine and this process have different clocks. The board bus uses the clock of this process. So on the
        # console, this clock's ticks replace the machine's ticks.
        ticks, _, rest = text.partition(" ")
        event = rest.partition(" ")[0]
        self._serving = event == "tap.start" or (self._serving and event not in _ENDS)
        print(f"{line.ticks()} {rest} {self._counted()}" if ticks.lstrip("-").isdigit() else text, flush=True)

    async def _began(self, ours: int, heap: int, base: int) -> None:
        self._say("rv32.began", ours=ours, heap=heap, base=base)
        line.line().pins["crypto"] = _Trigger(lambda: self._happened("crypto"))

    async def _imported(self, kept: int) -> None:
        self._say("rv32.imported", kept=kept)

    async def _mark(self) -> None:
        self._marked = self._insn
        self._objects = self._made()

    async def _measured(self, name: str, rounds: int) -> None:
        objects = self._made() - self._objects
        if name == "nothing":
            self._own_objects = objects
        objects -= self._own_objects
        self._say("rv32.measured", name=name, each=(self._insn - self._marked) // rounds, objects=objects // rounds)

    def _made(self) -> int:
        """Return how many objects the machine has put on its heap. This is 0 unless `_qemu` writes them down."""
        if not self._allocations.exists():
            return 0
        with self._allocations.open("rb") as file:
            return sum(1 for line in file if line.startswith(b"Trace "))

    async def _signed(self, name: str) -> tuple[bytes, bytes, bytes]:
        return signed(name)

    async def _stop(self) -> None:
        self.stopped = True

    async def _wait(self, milliseconds: int) -> tuple[int, list[tuple[Any, ...]]]:
        """Wait for an event or for bytes on the UART. Returns the milliseconds that have passed, and the events."""
        began, passed, slow = time.monotonic(), None, SLOW if self._serving else 1
        if milliseconds and not self._events:
            watched = None if self._uart is None else self._uart.fileno()
            if watched is not None:
                self._loop.add_reader(watched, self._changed.set)
            try:
                await asyncio.wait_for(self._changed.wait(), slow * milliseconds / 1000)
            except TimeoutError:
                passed = milliseconds
            finally:
                if watched is not None:
                    self._loop.remove_reader(watched)
        else:
            for _ in range(3):  # let the stand-ins take what has arrived
                await asyncio.sleep(0)
        self._changed.clear()
        events, self._events = self._events, []
        if passed is None:
            passed = min(milliseconds, int((time.monotonic() - began) * 1000 / slow))
        self._waited += passed
        while self._waited >= _SECOND_MS:
            self._waited -= _SECOND_MS
            self._say("rv32.second")
        return passed, events


class _Partition:
    """A partition. Reading it returns bytes."""

    def __init__(self, partition: Any) -> None:
        self._partition = partition
        self.writeblocks, self.ioctl = partition.writeblocks, partition.ioctl

    def readblocks(self, block: int, size: int, offset: int) -> bytes:
        data = bytearray(size)
        self._partition.readblocks(block, data, offset)
        return bytes(data)


class _Pin:
    """A pin. Its interrupt becomes an event. When the machine sets an output to 1, `raised` is called."""

    def __init__(self, pin: Any, happened: Callable[[], None], raised: Callable[[Any], None]) -> None:
        self._pin, self._happened, self._raised = pin, happened, raised

    def value(self, level: int | None = None) -> int | None:
        if level:
            self._raised(self._pin)
        answer: int | None = self._pin.value(level)
        return answer

    def irq(self, wanted: bool, trigger: int) -> None:
        self._pin.irq((lambda _pin: self._happened()) if wanted else None, trigger)


class _Trigger:
    """An input of the bus that is not a pin."""

    def __init__(self, happened: Callable[[], None]) -> None:
        self._happened = happened

    def set_from_outside(self, value: int) -> None:
        if value:
            self._happened()


class _Timer:
    """A timer. Its callback becomes an event."""

    def __init__(self, timer: Any, happened: Callable[[], None]) -> None:
        self._timer, self._happened = timer, happened
        self.deinit = timer.deinit

    def init(self, mode: int, period: int) -> None:
        self._timer.init(mode=mode, period=period, callback=lambda _timer: self._happened())


def _qemu(program: str, kernel: Path, content: Path, allocations: Path | None) -> "subprocess.Popen[bytes]":
    """Start the machine. With a file `allocations`, qemu writes a line into it whenever MicroPython's `gc_alloc` is
    called, so the machine is slower. The numbers of instructions stay the same."""
    flash = os.environ.get("MOORING_FLASH")
    copied = ["-device", f"loader,file={flash},addr={_FLASH_AT:#x},force-raw=on"] if flash else []
    if allocations is not None:
        address = elf.symbol(kernel, "gc_alloc")
        copied += ["-d", "exec,nochain", "-dfilter", f"{address:#x}+1", "-D", str(allocations)]
    return subprocess.Popen(
        [
            *(program, "-M", "virt", "-bios", "none", "-m", "128M", "-nographic", "-monitor", "none"),
            *("-serial", "stdio", "-semihosting", "-icount", f"shift={SHIFT},sleep=off"),
            *("-device", f"loader,file={content},addr={_IMAGE_AT:#x},force-raw=on", "-kernel", str(kernel)),
            *copied,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the machine must not hold the console open after this process
        bufsize=0,
        start_new_session=True,
    )


def _bootstrap(machine: "subprocess.Popen[bytes]", code: str) -> None:
    """Type `code` at the machine's prompt. The code never ends. Later output of the prompt goes to stderr."""
    assert machine.stdin is not None and machine.stdout is not None
    said = b""
    for key, answer in ((b"", b">>> "), (b"\x01", b"raw REPL; CTRL-B to exit\r\n>")):
        machine.stdin.write(key)
        while answer not in said:
            more = machine.stdout.read(256)
            if not more:
                raise ConfigError("elf.silent", "the machine shows no prompt. See docs/performance.md")
            said += more
    machine.stdin.write(code.encode() + b"\x04")
    output = machine.stdout

    def relay() -> None:
        while more := output.read(256):
            sys.stderr.buffer.write(more.translate(None, b"\r\x04>"))
            sys.stderr.flush()
            if b"\x04>" in more:  # the program ends only after an error
                machine.kill()

    threading.Thread(target=relay, daemon=True).start()


async def _main(kernel: Path, content: Path, size: int, mode: str) -> None:
    program = shutil.which("qemu-system-riscv32")
    if program is None:
        raise ConfigError("qemu.missing", image.QEMU)
    with tempfile.TemporaryDirectory() as folder:
        for name in _PIPES:
            os.mkfifo(Path(folder, name))
        allocations = Path(folder, "allocations")
        board = Board(Path(folder), allocations)
        machine = _qemu(program, kernel, content, allocations if mode == "crypto" else None)
        try:
            state, collector = elf.symbol(kernel, "mp_state_ctx"), elf.symbol(kernel, "gc_collect_start")
            _bootstrap(
                machine,
                "import gc; base = gc.mem_alloc()\nimport vfs, sys, uctypes\n"
                f"vfs.mount(vfs.VfsRom(uctypes.bytearray_at({_IMAGE_AT}, {size})), '/host')\n"
                "sys.path[:] = ['/host', '.frozen']\nimport start\n"
                f"start.run('{folder}', '{mode}', {state}, {collector}, {os.environ[HEAP]}, "
                f"{os.environ.get(THRESHOLD, '0')}, base)\n",
            )
            await board.serve(machine)
        finally:
            machine.kill()
            sys.stdout.flush()


if __name__ == "__main__":
    try:
        asyncio.run(_main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[2]).stat().st_size, sys.argv[3]))
    except MooringError as error:
        sys.exit(str(error))
