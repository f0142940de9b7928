"""The phone's Bluetooth during failures. The phone reports each failure, and nobody waits for the phone in vain."""

import asyncio
import os
import signal
import uuid

import pytest
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.hci import Address
from bumble.host import Host

from protocol.errors import TransportError
from sim.hang import HANG_SECONDS
from sim.phone.ble import START, BleHabits, BleJob, PhoneBluetooth
from sim.phone.ble_process import BleProcess
from sim.radio.air import Air

PHONE, READER = "E2:00:00:00:00:01", "C0:00:00:00:00:01"
JOB = BleJob("peripheral", uuid.UUID(int=7), b"key")


def test_a_connection_lost_in_the_moment_of_its_start_is_lost_for_this_transaction() -> None:
    async def story() -> None:
        air = Air(advertising_scale=0.1)
        controller = air.controller("phone", PHONE)
        phone = await PhoneBluetooth.attach(controller, controller, PHONE, BleHabits())
        opening = asyncio.create_task(phone.open(JOB))
        adapter = air.controller("reader", READER)
        reader = Device("reader", Address(READER), host=Host(adapter, adapter))
        await reader.power_on()
        connection = await reader.connect_le(Address(PHONE), timeout=HANG_SECONDS)
        (service,) = await connection.gatt_client.discover_service(UUID.from_bytes(JOB.uuid.bytes[::-1]))
        state, *_ = await connection.gatt_client.discover_characteristics([], service)
        (there,) = phone.device.connections.values()
        # The session begins and the connection ends before the phone handles either event.
        await phone.device.gatt_server.get_attribute(state.handle).write_value(there, START)  # type: ignore[union-attr]
        there.emit(Connection.EVENT_DISCONNECTION, 8)
        with pytest.raises(ConnectionError, match="lost"):
            await opening

    asyncio.run(story())


def test_a_phone_whose_process_has_ended_says_so_to_everyone_who_asks() -> None:
    async def story() -> None:
        async with Air().serving_hci() as hci, BleProcess(hci) as phone:
            os.kill(phone.pid, signal.SIGKILL)
            for _ in range(2):
                with pytest.raises(TransportError, match=r"phone\.ended"):
                    await phone.open(JOB)

    asyncio.run(story())
