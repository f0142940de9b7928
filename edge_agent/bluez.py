"""Mend BlueZ over D-Bus: let it forget a device, or switch the adapter off and on. `edge_agent.radio_care` says when.

bleak can neither switch an adapter off and on nor let BlueZ forget a device. So this module calls BlueZ itself, through
the D-Bus library that bleak uses on Linux. Elsewhere there is no BlueZ to mend.
"""

import asyncio
from typing import Any, Final

from protocol.errors import TransportError

CALL_SECONDS: Final = 10.0
"""Time limit for all calls of one repair together."""
OFF_SECONDS: Final = 1.0
"""How long the adapter stays off."""

_BLUEZ, _ADAPTER, _DEVICE = "org.bluez", "org.bluez.Adapter1", "org.bluez.Device1"
_PROPERTIES, _OBJECTS = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"


async def restart_adapters(bus_address: str | None = None) -> list[str]:
    """Switch all adapters that are on off and on again. All their connections end. Return the paths of the adapters.

    `bus_address` is None for the system bus. Raises TransportError `radio.not_mended`, for example if the service may
    not do this, or if this is not Linux.
    """
    return await _repair(bus_address, _restart_adapters)


async def forget(address: str, bus_address: str | None = None) -> list[str]:
    """Let BlueZ forget the device at a Bluetooth address, with what it remembers of the device's services. Return the
    paths of the devices that are forgotten; empty if BlueZ does not know the device.

    Raises as `restart_adapters` does.
    """

    async def work(call: Any) -> list[str]:
        found = [
            (path, device["Adapter"].value)
            for path, device in await _objects(call, _DEVICE)
            if device["Address"].value.upper() == address.upper()
        ]
        for path, adapter in found:
            await call(adapter, _ADAPTER, "RemoveDevice", "o", [path])
        return [path for path, _ in found]

    return await _repair(bus_address, work)


async def _restart_adapters(call: Any) -> list[str]:
    from dbus_fast import Variant

    found = [path for path, adapter in await _objects(call, _ADAPTER) if adapter["Powered"].value]
    for path in found:
        await call(path, _PROPERTIES, "Set", "ssv", [_ADAPTER, "Powered", Variant("b", False)])
    try:
        await asyncio.sleep(OFF_SECONDS)
    finally:
        for path in found:
            await call(path, _PROPERTIES, "Set", "ssv", [_ADAPTER, "Powered", Variant("b", True)])
    return found


async def _objects(call: Any, interface: str) -> list[tuple[str, dict[str, Any]]]:
    (objects,) = await call("/", _OBJECTS, "GetManagedObjects", "", [])
    return [(path, interfaces[interface]) for path, interfaces in objects.items() if interface in interfaces]


async def _repair(bus_address: str | None, work: Any) -> list[str]:
    try:
        from dbus_fast import BusType, Message, MessageType
        from dbus_fast.aio import MessageBus
    except ImportError as error:
        raise TransportError("radio.not_mended", "there is no BlueZ on this system") from error

    async def call(path: str, interface: str, member: str, signature: str, body: list[Any]) -> list[Any]:
        message = Message(_BLUEZ, path, interface, member, signature=signature, body=body)
        reply = await bus.call(message)
        if reply.message_type == MessageType.ERROR:
            advice = "Put the service's user into the group bluetooth."
            raise TransportError("radio.not_mended", f"BlueZ refuses {member} ({reply.error_name}). {advice}")
        return list(reply.body)

    bus = MessageBus(bus_address=bus_address, bus_type=BusType.SYSTEM)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await bus.connect()
            return list(await work(call))
    except TransportError:
        raise
    except Exception as error:
        # D-Bus libraries raise many types. A repair that fails must not end anything.
        raise TransportError("radio.not_mended", f"D-Bus does not work ({type(error).__name__})") from error
    finally:
        bus.disconnect()
