"""A broker that ignores all limits costs the edge little memory and ends only one connection."""

import asyncio
import os
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent import packets
from edge_agent.packets import MAX_PACKET, PacketError, PacketSocket
from protocol import uplink
from protocol.errors import MooringError
from sim.hang import HANG_SECONDS
from tests.support.hostile_broker import CONNACK, Attack, HostileBroker, Session, length, packet, publish
from tests.support.signing_lock import SigningLock
from tests.support.uplink_edge import UplinkEdge, running

CMD = "mooring/1/edge/cmd"
MOST_BYTES = 2_000_000
USER_PROPERTY = b"\x26\x00\x00\x00\x00"

COMMAND = uplink.Command(bytes(16), [b"statement"]).encode()


def _run(story: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(2 * HANG_SECONDS):
            await story()

    asyncio.run(limited())


def _lost(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [entry.__dict__["facts"]["code"] for entry in caplog.records if entry.getMessage() == "broker.lost"]


def attacked(folder: Path, broker: HostileBroker, after: Callable[[UplinkEdge], Awaitable[None]]) -> None:
    """Attack the first connection of an edge. Then the edge must connect again and take a command."""

    async def story() -> None:
        async with broker.open(), running(folder, broker.port) as edge:
            await broker.until(lambda: len(broker.sessions) > 1)
            await after(edge)
            assert not edge.uplink.online or broker.sessions[0].over.is_set()
            await edge.commanded.wait()
            assert edge.commands[-1].encode() == COMMAND

    _run(story)


async def honest(session: Session) -> None:
    """Serve the connection that follows an attack. Send a command on this connection."""
    await session.send(publish(CMD, COMMAND))


def once(*data: bytes, times: int = 1) -> Attack:
    async def attack(session: Session) -> None:
        for each in data:
            await session.send(each, times)

    return attack


async def _announced(session: Session) -> None:
    # Announce 250 MB, and go on sending while the edge listens.
    await session.send(b"\x32" + length(250_000_000) + len(CMD).to_bytes(2, "big") + CMD.encode() + b"\x00\x01\x00")
    await session.send(bytes(65536), 3800)


async def _flood(session: Session) -> None:
    session.flood(publish(CMD, bytes(130_000)), 400)


COSTLY: dict[str, Attack] = {
    "a message of 250 MB": _announced,
    "a message of one byte too many": once(publish(CMD, bytes(MAX_PACKET - len(CMD) - 9))),
    "a SUBACK of many codes": once(packet(0x90, b"\x00\x01\x00" + b"\x01" * 100_000)),
    "an UNSUBACK of many codes": once(packet(0xB0, b"\x00\x01\x00" + b"\x00" * 100_000)),
    "properties without number": once(publish(CMD, b"", properties=USER_PROPERTY * 25_000)),
    "a DISCONNECT with properties": once(packet(0xE0, b"\x00" + length(100_000) + USER_PROPERTY * 20_000)),
    "messages that paho would keep": once(*(publish(CMD, bytes(100_000), mid, qos=2) for mid in range(1, 99))),
    "more messages than may wait": _flood,
}


@pytest.mark.parametrize("attack", COSTLY.values(), ids=COSTLY)
def test_no_message_of_a_broker_costs_more_than_two_megabytes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, attack: Attack
) -> None:
    peaks: list[int] = []

    async def measured(session: Session) -> None:
        tracemalloc.start()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        await attack(session)
        await session.over.wait()
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()

    async def after(_edge: UplinkEdge) -> None:
        assert _lost(caplog) == ["broker.limit"]

    broker = HostileBroker(measured, honest)
    attacked(tmp_path, broker, after)
    # The edge takes no more messages at a time than it announced, and takes each message once.
    several = 20 * 131_000 if attack is _flood else 0
    assert peaks[0] < MOST_BYTES + several


def test_the_largest_message_there_is_costs_no_more_either_and_is_taken(tmp_path: Path) -> None:
    largest = uplink.Command(bytes(16), [os.urandom(8000)] * 16).encode()
    peaks: list[int] = []

    async def story() -> None:
        async def attack(session: Session) -> None:
            data = publish(CMD, largest)
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await session.send(data)
            await session.until(lambda: session.acknowledged == [1])
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            tracemalloc.stop()

        broker = HostileBroker(attack)
        async with broker.open(), running(tmp_path, broker.port) as edge:
            await broker.until(lambda: bool(peaks))
            assert edge.commands[0].encode() == largest and len(broker.sessions) == 1

    _run(story)
    assert len(largest) > 125_000 and peaks[0] < MOST_BYTES


def test_a_costly_answer_to_connect_ends_the_attempt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    costly = packet(0x20, b"\x00\x00" + length(100_000) + USER_PROPERTY * 20_000)

    async def after(_edge: UplinkEdge) -> None:
        assert _lost(caplog) == ["broker.limit"]

    attacked(tmp_path, HostileBroker(honest, connacks=(costly,)), after)


MALFORMED = {
    "no topic": publish("", COMMAND),
    "a topic that is no text": publish(b"mooring/1/edge/\xff\xfe", COMMAND),
    "another edge's topic": publish("mooring/1/other/cmd", COMMAND),
    "a leaf of ours that we have not asked for": publish("mooring/1/edge/up", COMMAND),
    "a PUBLISH of nothing": packet(0x32, b""),
    "a topic longer than the packet": packet(0x32, b"\xff\xff"),
    "properties longer than the packet": packet(0x32, b"\x00\x01a\x00\x01\x7f"),
    "an unknown property": publish(CMD, b"", properties=b"\x7f\x00"),
    "QoS 3": packet(0x36, b"\x00\x01a\x00\x01\x00"),
    "a length without an end": b"\x32\xff\xff\xff\xff\xff",
    "a type for servers": packet(0x10, b"\x00"),
    "type 0": packet(0x00, b""),
    "AUTH": packet(0xF0, b"\x00"),
    "a second CONNACK of one byte": packet(0x20, b"\x00"),
    "a PUBACK of one byte": packet(0x40, b"\x00"),
    "a SUBACK with an unknown code": packet(0x90, b"\x00\x01\x00\x77"),
    "a PINGRESP with a body": packet(0xD0, b"\x00"),
    "a DISCONNECT with an unknown reason": packet(0xE0, b"\x77"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_packet_out_of_order_ends_the_connection_and_the_next_one_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    async def after(edge: UplinkEdge) -> None:
        assert len(_lost(caplog)) == 1 and _lost(caplog)[0] in ("broker.limit", "broker.lost")

    attacked(tmp_path, HostileBroker(once(data), honest), after)


READABLE = {
    "no CBOR": b"\xff",
    "no message": b"\x81\x01",
    "a counter beyond all bounds": b"\x83\x01\x80\x81\x84\x50"
    + bytes(16)
    + b"\x1b"
    + b"\xff" * 8
    + b"\x58\x20"
    + bytes(32)
    + b"\x61a",
    "another version": b"\x83\x02\x80\x80",
}


@pytest.mark.parametrize("payload", READABLE.values(), ids=READABLE)
@pytest.mark.parametrize("leaf", [uplink.RECEIPT, uplink.CMD])
def test_a_message_that_means_nothing_is_passed_over_on_the_same_connection(
    tmp_path: Path, leaf: str, payload: bytes
) -> None:
    async def attack(session: Session) -> None:
        await session.send(publish(uplink.topic("edge", leaf), payload, mid=1))
        await session.send(publish(CMD, COMMAND, mid=2))

    async def story() -> None:
        broker = HostileBroker(attack)
        async with broker.open(), running(tmp_path, broker.port) as edge:
            await edge.commanded.wait()
            await broker.until(lambda: broker.sessions[0].acknowledged == [1, 2])
            assert len(broker.sessions) == 1 and edge.uplink.online

    _run(story)


def test_records_reach_a_province_behind_a_broker_that_was_hostile_before(tmp_path: Path) -> None:
    lock = SigningLock()

    async def story() -> None:
        broker = HostileBroker(_announced, once(MALFORMED["no topic"]))
        async with broker.open(), running(tmp_path, broker.port) as edge:
            await broker.until(lambda: len(broker.sessions) == 3)
            await edge.online.wait()
            edge.store(lock, 2)
            receipts = uplink.Receipts([lock.receipt(2)]).encode()
            await broker.sessions[2].send(publish(uplink.topic("edge", uplink.RECEIPT), receipts))
            await edge.until_empty()

    _run(story)


class _Failing(socket.socket):
    """Sockets whose 12th read raises an exception that no library foresees."""

    reads = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        type(self).reads += 1
        if type(self).reads == 12:
            raise ZeroDivisionError("made to fail")
        return super().recv(size, flags)


def test_an_exception_that_would_end_the_network_thread_ends_the_connection_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        channel = _Failing(socket.AF_INET, socket.SOCK_STREAM)
        channel.connect(address)
        return channel

    monkeypatch.setattr(socket, "create_connection", connect)
    _Failing.reads = 0

    async def after(edge: UplinkEdge) -> None:
        assert _lost(caplog) == ["edge.fault"]
        assert edge.faults.counts == {"ZeroDivisionError": 1}

    attacked(tmp_path, HostileBroker(once(publish(CMD, COMMAND) * 5), honest), after)
    [fault] = [entry.__dict__["facts"] for entry in caplog.records if entry.getMessage() == "agent.fault"]
    assert fault["type"] == "ZeroDivisionError" and "made to fail" not in str(fault)


# --- the socket itself -----------------------------------------------------------------------------------------------


class Wire:
    """A channel that returns its data in pieces of `size` bytes and raises BlockingIOError between two pieces."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size, self.given, self.sent = data, size, 0, b""

    def recv(self, size: int) -> bytes:
        if self.given == self.size:
            self.given = 0
            raise BlockingIOError
        part, self.data = self.data[: min(size, self.size - self.given)], self.data[min(size, self.size - self.given) :]
        self.given += len(part)
        return part

    def send(self, data: bytes | bytearray) -> int:
        self.sent += data
        return len(data)

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None: ...


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_packets_come_through_whole_however_they_are_cut(size: int) -> None:
    stream = CONNACK + publish(CMD, bytes(300)) + b"\xd0\x00" + publish(CMD, b"x")
    channel, out = PacketSocket(Wire(stream, size), lambda _qos: True), b""
    while len(out) < len(stream):
        try:
            out += channel.recv(50)
        except BlockingIOError:
            assert channel.pending() == 0
    assert out == stream


def test_after_a_packet_that_breaks_a_limit_nothing_more_is_read() -> None:
    wire = Wire(packet(0x90, bytes(300)) + CONNACK, 1000)
    channel = PacketSocket(wire, lambda _qos: True)
    for _ in range(2):
        with pytest.raises(PacketError):
            channel.recv(1)
    assert wire.sent == b"\xe0\x01\x95" and len(wire.data) == 300 + len(CONNACK)


def test_each_limit_is_exact() -> None:
    for kind, most in packets._MOST.items():
        packets.check_head(kind << 4, most)
        with pytest.raises(PacketError):
            packets.check_head(kind << 4, most + 1)
    for first in (0x00, 0x10, 0x50, 0x60, 0x70, 0x80, 0xA0, 0xC0, 0xF0, 0x34, 0x36):
        with pytest.raises(PacketError):
            packets.check_head(first, 0)


def test_a_fault_is_an_error_of_the_tree() -> None:
    assert issubclass(PacketError, OSError) and not issubclass(PacketError, MooringError)
