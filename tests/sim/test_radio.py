"""The simulated air: range, adapters in other processes, and faults like those of a real radio."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import gatt
from bumble.att import Attribute
from bumble.core import UUID
from bumble.device import Device
from bumble.hci import Address
from bumble.host import Host

from protocol import crypto_cpython, link
from sim.board.interpreter import ROOT
from sim.hang import HANG_SECONDS
from sim.radio import bleak_backend
from sim.radio.air import Air, PartFault
from tests.support.radio_world import ADDRESS, radio_world

ECHO = "4d6f6f72-0000-0000-0000-0000000000aa"


async def echo_device(air: Air, address: str) -> Device:
    """Return a peripheral that is not a lock. The peripheral sends each written value back in a notification."""
    controller = air.controller(address, address)
    device = Device(address, Address(address), host=Host(controller, controller))

    async def on_write(connection: object, value: bytes) -> None:
        await device.notify_subscribers(echo, value)

    ways = gatt.Characteristic.Properties
    properties = ways.WRITE | ways.WRITE_WITHOUT_RESPONSE | ways.NOTIFY
    echo: gatt.Characteristic[bytes] = gatt.Characteristic(
        UUID(ECHO), properties, Attribute.WRITEABLE, gatt.CharacteristicValue(write=on_write)
    )
    device.add_service(gatt.Service(UUID(ECHO), [echo]))
    await device.power_on()
    await device.start_advertising(advertising_data=b"\x02\x01\x06", advertising_interval_min=20, auto_restart=True)
    return device


@asynccontextmanager
async def adapter_on(air: Air) -> AsyncIterator[bleak_backend.Adapter]:
    async with air.serving_hci() as endpoint:
        adapter = await bleak_backend.Adapter.over_tcp(endpoint)
        with bleak_backend.install(adapter):
            yield adapter


async def echoed(client: BleakClient, data: bytes) -> bytes:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await client.start_notify(ECHO, lambda _, value: heard.put_nowait(bytes(value)))
    await client.write_gatt_char(ECHO, data, response=True)
    answer = await heard.get()
    await client.stop_notify(ECHO)
    return answer


def test_unmodified_bleak_code_scans_connects_and_talks_over_hci_in_tcp() -> None:
    async def scenario() -> None:
        air = Air()
        await echo_device(air, ADDRESS)
        async with adapter_on(air):
            device = await BleakScanner.find_device_by_address(ADDRESS, timeout=HANG_SECONDS)
            assert device is not None
            async with BleakClient(device) as client:
                assert client.is_connected and client.mtu_size == 517
                assert [c.uuid for s in client.services for c in s.characteristics if c.uuid == ECHO] == [ECHO]
                assert await echoed(client, bytes(500)) == bytes(500)
            assert not client.is_connected

    asyncio.run(scenario())


def test_one_adapter_holds_many_connections_side_by_side() -> None:
    async def scenario() -> None:
        air = Air()
        addresses = [f"F0:00:00:00:00:{n:02X}" for n in range(6)]
        for address in addresses:
            await echo_device(air, address)
        async with adapter_on(air):
            clients = [BleakClient(address) for address in addresses]
            await asyncio.gather(*(client.connect() for client in clients))
            answers = await asyncio.gather(*(echoed(c, c.address.encode()) for c in clients))
            assert [answer.decode() for answer in answers] == addresses
            await asyncio.gather(*(client.disconnect() for client in clients))

    asyncio.run(scenario())


def test_an_unknown_address_is_not_found() -> None:
    async def scenario() -> None:
        async with adapter_on(Air()):
            with pytest.raises(BleakDeviceNotFoundError):
                await BleakClient("F0:00:00:00:00:77", timeout=0.1).connect()

    asyncio.run(scenario())


def test_writing_what_cannot_be_written_is_an_error_of_bleaks() -> None:
    async def scenario() -> None:
        air = Air()
        await echo_device(air, ADDRESS)
        async with adapter_on(air), BleakClient(ADDRESS) as client:
            device_name = "00002a00-0000-1000-8000-00805f9b34fb"
            with pytest.raises(BleakError):
                await client.read_gatt_char("00002a99-0000-1000-8000-00805f9b34fb")
            assert await client.read_gatt_char(device_name) == ADDRESS.encode()

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["out of range", "cut"])
def test_a_broken_connection_is_noticed_and_a_request_under_way_fails(fault: str) -> None:
    async def scenario() -> None:
        air = Air()
        await echo_device(air, ADDRESS)
        async with adapter_on(air):
            gone = asyncio.Event()
            client = BleakClient(ADDRESS, disconnected_callback=lambda _: gone.set())
            await client.connect()
            if fault == "cut":
                air.cut_after = 1
                with pytest.raises(BleakError):
                    await client.write_gatt_char(ECHO, b"x", response=True)
            else:
                air.set_in_range(ADDRESS, False)
            await gone.wait()
            assert not client.is_connected
            with pytest.raises(BleakError):
                await client.write_gatt_char(ECHO, b"x", response=True)
            if fault == "out of range":
                with pytest.raises(BleakDeviceNotFoundError):
                    await BleakClient(ADDRESS, timeout=0.1).connect()
                air.set_in_range(ADDRESS, True)
            async with BleakClient(ADDRESS) as again:
                assert await echoed(again, b"again") == b"again"

    asyncio.run(scenario())


def test_a_delayed_part_holds_up_what_comes_behind_it_and_nothing_overtakes() -> None:
    async def scenario(at: int) -> None:
        air = Air()
        await echo_device(air, ADDRESS)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        parts = [bytes((number, number)) for number in range(20)]
        async with adapter_on(air), BleakClient(ADDRESS) as client:
            await client.start_notify(ECHO, lambda _, value: heard.put_nowait(bytes(value)))
            air.faults = [PartFault("delay", at, "notification", seconds=0.05)]
            for part in parts:
                await client.write_gatt_char(ECHO, part, response=False)
            assert [await heard.get() for _ in parts] == parts
        assert air.faults[0].happened

    for at in range(1, 6):
        asyncio.run(scenario(at))


def test_delay_is_added_to_every_packet() -> None:
    async def scenario() -> None:
        air = Air()
        await echo_device(air, ADDRESS)
        async with adapter_on(air), BleakClient(ADDRESS) as client:
            air.delay_seconds = 0.05
            loop = asyncio.get_running_loop()
            before = loop.time()
            await client.write_gatt_char(ECHO, b"x", response=True)
            assert loop.time() - before >= 0.1

    asyncio.run(scenario())


def test_a_lock_without_power_leaves_the_air_and_comes_back() -> None:
    async def scenario() -> None:
        async with radio_world() as world:
            await world.boot()
            gone = asyncio.Event()
            client = BleakClient(ADDRESS, disconnected_callback=lambda _: gone.set())
            await client.connect()
            assert client.services.get_characteristic(link.UP) is not None
            await world.kill()
            await gone.wait()
            with pytest.raises(BleakDeviceNotFoundError):
                await BleakClient(ADDRESS, timeout=0.1).connect()
            await world.boot()
            async with BleakClient(ADDRESS):
                pass

    asyncio.run(scenario())


def test_an_adapter_whose_process_dies_leaves_the_air() -> None:
    async def scenario() -> None:
        air = Air()
        device = await echo_device(air, ADDRESS)
        script = (
            "import asyncio, sys\n"
            "from bleak import BleakClient\n"
            "from sim.radio import bleak_backend\n"
            "async def main():\n"
            "    async with BleakClient(sys.argv[2]):\n"
            "        print('connected', flush=True)\n"
            "        await asyncio.sleep(60)\n"
            "with bleak_backend.install(sys.argv[1]):\n"
            "    asyncio.run(main())\n"
        )
        async with air.serving_hci() as endpoint:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, endpoint, ADDRESS, stdout=asyncio.subprocess.PIPE, cwd=ROOT
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"connected\n"
            (connection,) = device.connections.values()
            gone = asyncio.Event()
            connection.on(connection.EVENT_DISCONNECTION, lambda _reason: gone.set())
            process.kill()
            await process.communicate()
            await gone.wait()

    asyncio.run(scenario())


def test_the_edge_agents_own_command_runs_on_the_air() -> None:
    async def scenario() -> None:
        async with Air().serving_hci() as endpoint:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "sim.radio.edge_on_air", "--hci", endpoint, "--", "--help"),
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
            shown, _ = await process.communicate()
            assert process.returncode == 0 and b"--hci" not in shown and b"usage" in shown

    asyncio.run(scenario())


def test_an_edge_agent_ends_with_the_simulator_that_started_it_even_if_that_was_killed(tmp_path: Path) -> None:
    config, province = tmp_path / "edge.toml", crypto_cpython.generate("P-256")[1]
    config.write_text(
        f'name = "edge-1"\nstate_dir = "{tmp_path / "state"}"\nprovince_public_key = "{province.hex()}"\n'
        '[mqtt]\nhosts = ["127.0.0.1"]\nport = 1\n[locks]\naddresses = []\n[log]\njson = true\n'
    )

    async def scenario() -> None:
        async with Air().serving_hci() as endpoint:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sim.radio.edge_on_air", "--hci", endpoint, "--until-input-ends"),
                *("--", "run", "--config", str(config)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
            assert process.stdin is not None and process.stdout is not None
            assert b"{" in await process.stdout.readline(), "it runs"
            process.stdin.close()
            await process.communicate()
            assert process.returncode == -signal.SIGKILL

    asyncio.run(scenario())
