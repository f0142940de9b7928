"""Replaces `machine` on the virtual board. The simulator's pins, timers and UARTs do the work, in the process of the
host."""

import io
import select

import hosted

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


class _Device:
    """Stands for an object of the host's module `machine`. The host knows this object by the key `place`."""

    def __init__(self, place, *arguments, **options):
        self.place = place
        hosted.call("make", place, type(self).__name__, arguments, options)

    def ask(self, method, *arguments, **options):
        return hosted.call(self.place, method, arguments, options)


class Pin(_Device):
    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_UP, PULL_DOWN = 2, 1
    IRQ_RISING, IRQ_FALLING = 1, 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        super().__init__("Pin%d" % id, id, mode, pull, value=value)

    def value(self, x=None):
        return self.ask("value", x)

    def __call__(self, x=None):
        return self.ask("value", x)

    def on(self):
        self.ask("value", 1)

    def off(self):
        self.ask("value", 0)

    def irq(self, handler=None, trigger=3, **_):
        select.on_event(self.place, None if handler is None else lambda: select.as_firmware(handler, self))
        self.ask("irq", handler is not None, trigger)


class PWM(_Device):
    def __init__(self, dest, freq=-1, duty_u16=-1):
        number = dest.place[3:] if isinstance(dest, Pin) else str(dest)
        super().__init__("PWM" + number, int(number), freq=freq, duty_u16=duty_u16)

    def init(self, freq=-1, duty_u16=-1):
        self.ask("init", freq=freq, duty_u16=duty_u16)

    def freq(self, value=None):
        return self.ask("freq", value)

    def duty_u16(self, value=None):
        return self.ask("duty_u16", value)

    def deinit(self):
        self.ask("deinit")


class Timer(_Device):
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id):
        super().__init__("Timer%d" % id, id)

    def init(self, *, mode=PERIODIC, period=-1, callback=None):
        select.on_event(self.place, lambda: select.as_firmware(callback, self))
        self.ask("init", mode=mode, period=period)

    def deinit(self):
        self.ask("deinit")


class UART(io.IOBase):
    IRQ_RX, IRQ_BREAK, IRQ_RXIDLE = 1, 2, 0x1000

    def __init__(self, id, baudrate=9600, **options):
        self._place = "UART%d" % id
        hosted.call("make", self._place, "UART", (id, baudrate), {})

    def _ask(self, method, *arguments, **options):
        return hosted.call(self._place, method, arguments, options)

    def init(self, baudrate=9600, **options):
        self._ask("init", baudrate)

    def irq(self, handler=None, trigger=0, hard=False):
        pass  # a poll on this board returns as soon as bytes arrive

    def any(self):
        return self._ask("any")

    def read(self, nbytes=4096):
        data = self._ask("read", nbytes)
        return None if data is None else bytes(data)

    def readinto(self, buf, nbytes=None):
        data = self._ask("read", len(buf) if nbytes is None else min(nbytes, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf):
        return self._ask("write", buf)

    def flush(self):
        pass

    def ioctl(self, request, argument):
        if request == 3:  # MP_STREAM_POLL
            return argument & (4 | (1 if self._ask("any") else 0))
        return 0


class WDT:
    """This watchdog does nothing. The host may be slow, and this is not the firmware's fault."""

    def __init__(self, id=0, timeout=5000):
        pass

    def feed(self):
        pass


def reset():
    hosted.call("board", "stop", (), {})


def reset_cause():
    return PWRON_RESET


def disable_irq():
    return 0


def enable_irq(state):
    pass
