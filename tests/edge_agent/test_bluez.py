"""BlueZ is mended over a real D-Bus daemon. Behind it, a stand-in has BlueZ's objects."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable

import pytest

from edge_agent import bluez
from protocol.errors import TransportError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("dbus-daemon") is None, reason="this system has no D-Bus daemon"
)

if sys.platform == "linux":
    from dbus_fast import PropertyAccess
    from dbus_fast.aio import MessageBus
    from dbus_fast.service import ServiceInterface, dbus_property, method

DEVICE = "/org/bluez/hci0/dev_F0_00_00_00_00_01"


class Adapter(ServiceInterface):
    """An adapter of BlueZ. `switched` lists each change of its power."""

    def __init__(self, powered: bool = True) -> None:
        super().__init__("org.bluez.Adapter1")
        self.powered, self.switched, self.removed = powered, list[bool](), list[str]()

    @dbus_property()
    def Powered(self) -> "b":  # type: ignore[name-defined] # noqa: F821, N802 -- names and signatures are BlueZ's
        return self.powered

    @Powered.setter  # type: ignore[no-redef]
    def Powered(self, value: "b") -> None:  # type: ignore[name-defined] # noqa: F821, N802
        self.powered = value
        self.switched.append(value)

    @method()
    def RemoveDevice(self, device: "o") -> None:  # type: ignore[name-defined] # noqa: F821, N802
        self.removed.append(device)


class Device(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.bluez.Device1")

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":  # type: ignore[name-defined] # noqa: F821, N802
        return "F0:00:00:00:00:01"

    @dbus_property(access=PropertyAccess.READ)
    def Adapter(self) -> "o":  # type: ignore[name-defined] # noqa: F821, N802
        return "/org/bluez/hci0"


def with_bus(story: Callable[[str, Adapter, Adapter], Awaitable[None]], bluez_runs: bool = True) -> None:
    async def told() -> None:
        daemon = await asyncio.create_subprocess_exec(
            "dbus-daemon", "--session", "--nofork", "--print-address", stdout=asyncio.subprocess.PIPE
        )
        assert daemon.stdout is not None
        try:
            address = (await daemon.stdout.readline()).decode().strip()
            bus = await MessageBus(bus_address=address).connect()
            on, off = Adapter(), Adapter(powered=False)
            bus.export("/org/bluez/hci0", on)
            bus.export("/org/bluez/hci1", off)
            bus.export(DEVICE, Device())
            if bluez_runs:
                await bus.request_name("org.bluez")
            await story(address, on, off)
            bus.disconnect()
        finally:
            daemon.kill()
            await daemon.wait()

    asyncio.run(told())


def test_an_adapter_that_is_on_is_switched_off_and_on_and_one_that_is_off_stays_off() -> None:
    async def story(address: str, on: Adapter, off: Adapter) -> None:
        assert await bluez.restart_adapters(address) == ["/org/bluez/hci0"]
        assert on.switched == [False, True] and off.switched == []

    with_bus(story)


def test_a_device_is_forgotten_by_its_address_and_no_other_is() -> None:
    async def story(address: str, on: Adapter, _off: Adapter) -> None:
        assert await bluez.forget("F0:00:00:00:00:02", address) == [] and on.removed == []
        assert await bluez.forget("f0:00:00:00:00:01", address) == [DEVICE] and on.removed == [DEVICE]

    with_bus(story)


def test_a_repair_that_fails_says_so_with_one_code() -> None:
    async def story(address: str, _on: Adapter, _off: Adapter) -> None:
        with pytest.raises(TransportError, match=r"radio\.not_mended: .*group bluetooth"):
            await bluez.restart_adapters(address)
        with pytest.raises(TransportError, match=r"radio\.not_mended: D-Bus does not work"):
            await bluez.restart_adapters("unix:path=/nonexistent/bus")

    with_bus(story, bluez_runs=False)
