"""The brokers that scenarios and tests run against."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.errors import ConfigError
from sim.broker import Broker, Kind, available, started
from sim.ports import ReservedPort


@pytest.mark.parametrize("kind", available())
def test_a_broker_is_ready_when_made_and_gone_when_closed(kind: Kind) -> None:
    with Broker(kind) as broker:
        assert broker.answers()
        port = broker.port
    assert not broker.running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("kind", available())
def test_an_outage_ends_on_the_same_port(kind: Kind) -> None:
    with Broker(kind) as broker:
        port = broker.port
        for cut in (broker.stop, broker.kill):
            cut()
            assert not broker.running
            assert not broker.answers()
            broker.start()
            assert broker.port == port
            assert broker.answers()


def test_starting_and_stopping_twice_is_once() -> None:
    with Broker() as broker:
        broker.start()
        assert broker.answers()
        broker.stop()
        broker.stop()


def test_two_brokers_do_not_meet() -> None:
    with Broker() as one, Broker() as two:
        assert one.port != two.port


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists open ports in a file")
def test_it_listens_on_loopback_only() -> None:
    with Broker() as broker:
        listening = subprocess.run(
            [sys.executable, "-c", "print(open('/proc/net/tcp').read())"], capture_output=True, text=True, check=True
        ).stdout
        lines = [line.split()[1] for line in listening.splitlines() if f":{broker.port:04X} 00000000:0000" in line]
        assert lines == [f"0100007F:{broker.port:04X}"]


def test_a_missing_mosquitto_is_named_with_its_remedy(tmp_path: Path) -> None:
    assert available(str(tmp_path)) == ["iotcore"]
    with pytest.raises(ConfigError) as refusal:
        Broker("mosquitto", places=str(tmp_path))
    assert refusal.value.code == "broker.missing"
    assert "apt-get install" in refusal.value.message
    with Broker("iotcore", places=str(tmp_path)) as broker:
        assert broker.answers()


def test_the_loop_goes_on_while_a_broker_starts() -> None:
    async def turns() -> int:
        starting = asyncio.create_task(started())
        count = 0
        while not starting.done():
            await asyncio.sleep(0)
            count += 1
        starting.result().close()
        return count

    assert asyncio.run(turns()) > 10


def test_a_broker_whose_start_is_given_up_is_closed() -> None:
    async def given_up(port: int) -> None:
        starting = asyncio.create_task(started(port))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    reserved = ReservedPort()
    asyncio.run(given_up(reserved.port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", reserved.port)).close()
    reserved.close()
