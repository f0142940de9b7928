"""Scanning for locks that advertise."""

import asyncio
from typing import Final, NamedTuple

from bleak import BleakScanner

from edge_agent.lock_connection import RADIO_FAILURES
from protocol import link
from protocol.errors import TransportError
from protocol.link_initiator import HINT_BYTES

MARGIN_SECONDS: Final = 10.0
"""How much longer than the scan itself its calls may take. BlueZ answers at once or never."""


class Heard(NamedTuple):
    """A lock that advertises: its address, the first bytes of its lock id with the hint (`link.advertisement`), and its
    signal in dBm if it is known."""

    address: str
    content: bytes
    signal: int | None = None


async def discover(timeout: float = 10.0) -> list[Heard]:
    """Listen for locks for `timeout` seconds. Return each lock found.

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
        content = seen.manufacturer_data.get(link.COMPANY, b"")
        if link.SERVICE in seen.service_uuids and len(content) == link.PREFIX_BYTES + HINT_BYTES:
            locks.append((seen.rssi, device.address, bytes(content)))
    return [Heard(address, content, signal) for signal, address, content in sorted(locks, reverse=True)]
