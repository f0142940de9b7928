"""Stand-in for MicroPython's `machine`: Pin, PWM, Timer, UART, WDT, reset. If the interpreter has a `machine` of its
own, this module extends it.

Outputs are reported to the board bus (MOORING_BOARD=host:port, see `sim.board.bus`) as JSON lines, and inputs come from
the bus. Without a bus, outputs still work but are not reported. UART n is a byte stream to MOORING_UARTn=host:port.
MOORING_PROMPT says that the interpreter shows a prompt when its program ends.
"""

import io
import os
import select
import socket
import sys
import time

from sim.board import layout
from sim.board.line import connect, line, send, uptime

_MICROPYTHON = sys.implementation.name == "micropython"

if _MICROPYTHON:
    # MicroPython's documentation says how to extend a built-in module: import it while the path is empty, so that no
    # file shadows it.
    _path = list(sys.path)
    sys.path.clear()
    try:
        from machine import *  # noqa: F403 -- the built-in module's members differ between builds
    finally:
        sys.path.extend(_path)

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


_bus = line()


class Pin:
    """As `machine.Pin`. `id` is a number or a name. An output starts at `value`, or at 0 if no `value` is given."""

    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_UP, PULL_DOWN = 2, 1
    IRQ_RISING, IRQ_FALLING = 1, 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        self._id = id
        self._mode = self.IN
        self._value = 1 if pull == self.PULL_UP else 0
        self._handler = None
        self._trigger = 0
        earlier = _bus.pins.get(id)
        if earlier is not None:
            self._mode, self._value = earlier._mode, earlier._value
        elif id in _bus.levels:
            self._value = _bus.levels[id]
        _bus.pins[id] = self
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        if mode != -1:
            self._mode = mode
        if value is not None:
            self._value = 1 if value else 0
        if mode == self.OUT:
            _bus.report(pin=self._id, value=self._value, mode="out")

    def value(self, x=None):
        """Read the level, or set it to `x`."""
        if x is None:
            _bus.take_inputs()
            return self._value
        if self._mode != self.IN:
            # Report every write, even if the level stays the same, because opening an open strike is an opening too.
            self._value = 1 if x else 0
            _bus.report(pin=self._id, value=self._value)
        return None

    def __call__(self, x=None):
        return self.value(x)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self._value)

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING, **_):
        """Call `handler(pin)` on edges. Here an asyncio task calls the handler, so a running event loop is needed."""
        self._handler, self._trigger = handler, trigger
        if handler is not None:
            _start_watching()

    def set_from_outside(self, value):
        value = 1 if value else 0
        if self._mode != self.IN or value == self._value:
            return
        self._value = value
        if self._handler is not None and self._trigger & (self.IRQ_RISING if value else self.IRQ_FALLING):
            self._handler(self)

    def __repr__(self):
        return "Pin(%r)" % (self._id,)


_watching = None


def _start_watching():
    """For pins with an irq, apply inputs as soon as they arrive. For all other pins, inputs are applied when the pin is
    read.
    """
    global _watching
    if _watching is not None or _bus.socket is None:
        return
    import asyncio

    if _MICROPYTHON:
        _watching = asyncio.create_task(_watch())
    else:
        _watching = asyncio.get_running_loop()
        _watching.add_reader(_bus.socket, _take_or_stop, _watching, _bus.socket)


def _watch():
    # The function is a plain generator, as every MicroPython task is. This generator waits in the poller, as the
    # streams of asyncio do.
    from asyncio import core

    while _bus.socket is not None:
        yield core._io_queue.queue_read(_bus.socket)
        _bus.take_inputs()


def _take_or_stop(loop, connection):
    _bus.take_inputs()
    if _bus.socket is None:
        loop.remove_reader(connection)


class PWM:
    """As `machine.PWM`. `freq` is in Hz, `duty_u16` is from 0 to 65535, and `duty` is from 0 to 1023.

    Changes are reported.
    """

    def __init__(self, dest, freq=-1, duty=-1, duty_u16=-1, duty_ns=-1, invert=False):
        self._pin = dest._id if isinstance(dest, Pin) else dest
        self._freq, self._duty = 5000, 32768
        self.init(freq=freq, duty=duty, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, freq=-1, duty=-1, duty_u16=-1, duty_ns=-1, invert=False):
        before = (self._freq, self._duty)
        if freq != -1:
            self._freq = freq
        if duty_u16 != -1:
            self._duty = duty_u16
        elif duty != -1:
            self._duty = min(65535, duty * 64)
        elif duty_ns != -1:
            self._duty = min(65535, duty_ns * self._freq * 65536 // 1_000_000_000)
        if before != (self._freq, self._duty):
            _bus.report(pwm=self._pin, freq=self._freq, duty=self._duty)

    def freq(self, value=None):
        if value is None:
            return self._freq
        return self.init(freq=value)

    def duty_u16(self, value=None):
        if value is None:
            return self._duty
        return self.init(duty_u16=value)

    def duty(self, value=None):
        if value is None:
            return self._duty // 64
        return self.init(duty=value)

    def deinit(self):
        self.init(duty_u16=0)


class Timer:
    """Stands in for `machine.Timer` of the ESP32 port.

    Callbacks run between two steps of the interpreter, even in a loop that never yields. While the queue is full,
    callbacks are lost. If the interpreter itself stops, no callback runs. Up to MicroPython 1.28, the callbacks of
    timer 0 stop as soon as a UART gets an interrupt for its idle line.
    """

    ONE_SHOT, PERIODIC = 0, 1
    _lost = set()

    def __init__(self, id):
        self._id = id
        self._turn = 0

    def init(self, *, mode=PERIODIC, period=-1, callback=None, hard=False):
        if period <= 0:
            raise ValueError("Timer period is too short for this timer")
        self._turn += 1
        if self._id in self._lost:
            return
        _later(self, self._turn, mode == self.PERIODIC, period, callback)

    def deinit(self):
        self._turn += 1


def _later(timer, turn, again, period, callback):
    def ring():
        if _MICROPYTHON:
            time.sleep(period / 1000)  # this thread only waits
        if timer._turn == turn:
            try:
                _schedule(callback, timer)  # the callback runs in the main thread, as after an interrupt
            except RuntimeError:
                pass  # the queue is full
            if again:
                _later(timer, turn, again, period, callback)

    if _MICROPYTHON:
        import _thread

        _thread.start_new_thread(ring, ())
    else:
        import threading

        waiting = threading.Timer(period / 1000, ring)
        waiting.daemon = True
        waiting.start()


def _schedule(callback, timer):
    if _MICROPYTHON:
        from micropython import schedule

        schedule(callback, timer)
    else:
        callback(timer)


class UART(io.IOBase if _MICROPYTHON else object):
    """As `machine.UART`: an unbuffered stream. A read never blocks. A read returns None if there are no bytes to read.

    On MicroPython, asyncio can use the UART as a stream. The poller gets the socket's descriptor, so waiting takes no
    CPU time.
    """

    INV_TX, INV_RX, RTS, CTS = 32, 4, 2, 1
    IRQ_RX, IRQ_BREAK, IRQ_RXIDLE = 1, 2, 0x1000

    def __init__(self, id, baudrate=9600, **options):
        self._id = id
        self._handler, self._trigger = None, 0
        self.baudrate = baudrate
        address = os.getenv("MOORING_UART%d" % id)
        # Without a peer, use a socket that never receives anything. So waiting takes no CPU time here either.
        self._socket = connect(address) if address else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._peer = bool(address)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def init(self, baudrate=9600, **options):
        self.baudrate = baudrate

    def deinit(self):
        self._socket.close()

    def irq(self, handler=None, trigger=0, hard=False):
        """Call `handler(uart)` when bytes are read. The chip calls the handler when bytes arrive.

        As on the ESP32, only a soft interrupt is possible.
        """
        if hard or trigger & ~(self.IRQ_RX | self.IRQ_BREAK | self.IRQ_RXIDLE):
            raise ValueError("a hard interrupt, or an unknown trigger")
        self._handler, self._trigger = handler, trigger
        if trigger & self.IRQ_RXIDLE:
            Timer._lost.add(0)

    def fileno(self):
        return self._socket.fileno()

    def any(self):
        """Return the number of bytes that can be read at once (at most 4096)."""
        if not self._peer or not self._poll.poll(0):
            return 0
        return len(self._socket.recv(4096, socket.MSG_PEEK))

    def read(self, nbytes=4096):
        if not self._peer or not self._poll.poll(0):
            return None
        data = self._socket.recv(nbytes)
        if self._handler is not None and self._trigger & (self.IRQ_RX | self.IRQ_RXIDLE):
            self._handler(self)
        return data

    def readinto(self, buf, nbytes=None):
        data = self.read(len(buf) if nbytes is None else min(nbytes, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                return line or None
            line += byte
        return line

    def write(self, buf):
        if self._peer:
            send(self._socket, buf)
        return len(buf)

    def flush(self):
        pass

    def txdone(self):
        return True

    def ioctl(self, request, argument):
        if request == 10:  # MP_STREAM_GET_FILENO
            return self._socket.fileno()
        if request == 3:  # MP_STREAM_POLL
            ready = self._poll.poll(0) if self._peer else ()
            return argument & (4 | (1 if ready else 0))
        return 0 if request in (1, 4, 11) else -22


class WDT:
    """As `machine.WDT`. If the watchdog is fed too late, the process ends. The host's bus notices if no more feeds
    come.
    """

    def __init__(self, id=0, timeout=5000):
        self._timeout = timeout
        self._fed = uptime()
        _bus.report(wdt=timeout)

    def feed(self):
        now = uptime()
        late = now - self._fed if not _MICROPYTHON else time.ticks_diff(now, self._fed)
        if late > self._timeout:
            _stop("watchdog", layout.WATCHDOG_EXIT)
        self._fed = now
        _bus.report(feed=1)


def _stop(cause, code):
    _bus.report(stop=cause)
    while _MICROPYTHON and os.getenv("MOORING_PROMPT"):
        # SystemExit would lead to the interpreter's prompt. But after a reset nothing may run, so kill the process.
        os.system("kill -s KILL $PPID")
    sys.exit(code)


def reset():
    """End the process with exit code 71. The host then starts the board again."""
    _stop("reset", layout.RESET_EXIT)


def reset_cause():
    """Return the number in MOORING_RESET_CAUSE, which the host sets. The default is PWRON_RESET."""
    return int(os.getenv("MOORING_RESET_CAUSE") or PWRON_RESET)


def unique_id():
    """Return the six bytes that MOORING_UNIQUE_ID gives in hex, or a fixed value if this variable is not set."""
    return bytes.fromhex(os.getenv("MOORING_UNIQUE_ID") or "6d6f6f72696e")


def freq(*_):
    """Return the clock frequency of the reference chip, in Hz."""
    return 160_000_000


def disable_irq():
    """Do nothing, because there are no interrupts here."""
    return 0


def enable_irq(state):
    """Do nothing, for the same reason as `disable_irq`."""
