"""Gives CPython the few features of MicroPython's asyncio that the firmware uses, for `--runtime cpython`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class DeviceStream:
    """A stream over a device object, like MicroPython's `asyncio.StreamReader(uart)`.

    The device has `read` and `write`. The device also has `fileno` or `readable`, to wait for bytes to read. `fileno`
    returns a descriptor to poll, and `readable` is a coroutine function.
    """

    def __init__(self, device: Any, _extra: Any = None) -> None:
        self._device = device
        self._pending = bytearray()

    async def _readable(self) -> None:
        if hasattr(self._device, "readable"):
            await self._device.readable()
            return
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._device.fileno(), _settle, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._device.fileno())

    async def read(self, n: int = -1) -> bytes | None:
        """Wait until there are bytes to read, and return at most `n` of them."""
        await self._readable()
        data: bytes | None = self._device.read(n if n > 0 else 4096)
        return data

    async def readexactly(self, n: int) -> bytes:
        """Return exactly `n` bytes. Raises EOFError if the stream has fewer bytes left."""
        data = b""
        while len(data) < n:
            more = await self.read(n - len(data))
            if more == b"":
                raise EOFError
            data += more or b""
        return data

    async def readline(self) -> bytes:
        """Return the bytes up to and including a newline, or all remaining bytes if no newline follows."""
        line = b""
        while not line.endswith(b"\n"):
            more = await self.read(1)
            if more == b"":
                break
            line += more or b""
        return line

    def write(self, data: bytes) -> None:
        """Queue `data`. `drain` writes it."""
        self._pending += data

    async def drain(self) -> None:
        """Write all queued data."""
        data, self._pending = bytes(self._pending), bytearray()
        self._device.write(data)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _is_device(first: Any) -> bool:
    return hasattr(first, "fileno") or hasattr(first, "readable")


def _stream_reader(first: Any = None, *arguments: Any, **options: Any) -> Any:
    if _is_device(first):
        return DeviceStream(first)
    return _StreamReader(*(() if first is None else (first,)), *arguments, **options)


def _stream_writer(first: Any, *arguments: Any, **options: Any) -> Any:
    if _is_device(first):
        return DeviceStream(first)
    return _StreamWriter(first, *arguments, **options)


_StreamReader, _StreamWriter = asyncio.StreamReader, asyncio.StreamWriter


def install() -> None:
    """Make `asyncio.StreamReader` and `StreamWriter` accept a device. asyncio itself still uses its own classes."""
    _install(_stream_reader, _stream_writer)


@contextmanager
def installed() -> Iterator[None]:
    """Do the same as `install`, but only until the `with` block ends."""
    install()
    try:
        yield
    finally:
        _install(_StreamReader, _StreamWriter)


def _install(reader: Any, writer: Any) -> None:
    setattr(asyncio, "StreamReader", reader)  # noqa: B010 -- mypy rejects assigning to a type
    setattr(asyncio, "StreamWriter", writer)  # noqa: B010
