"""Scanning for locks that advertise."""

import asyncio
from typing import Final

from bleak import BleakScanner

from edge_agent.lock_connection import RADIO_FAILURES
from protocol import link
from protocol.errors import TransportError

MARGIN_SECONDS: Final = 10.0
"""How much longer than the scan itself its calls may take. BlueZ answers at once or never."""


async def discover(timeout: float = 10.0) -> list[tuple[str, bytes]]:
    """Listen for locks for `timeout` seconds. Return (address, first 6 bytes of the lock id) for each lock found.

    The lock with the strongest signal is first. An advertised id is only a claim, which the handshake must prove.
    Raises TransportError `radio.unavailable`.
    """
    try:
        async with asyncio.timeout(timeout + MARGIN_SECONDS):
            found = await BleakScanner.discover(timeout=timeout, return_adv=True, service_uuids=[link.SERVICE])
    except RADIO_FAILURES as error:
        raise TransportError("radio.unavailable", f"cannot scan ({error}). Check that bluetoothd runs.") from error
    locks = []
    for device, seen in found.values():
        prefix = seen.manufacturer_data.get(link.COMPANY, b"")
        if link.SERVICE in seen.service_uuids and len(prefix) == link.PREFIX_BYTES:
            locks.append((seen.rssi, device.address, bytes(prefix)))
    return [(address, prefix) for _, address, prefix in sorted(locks, reverse=True)]
