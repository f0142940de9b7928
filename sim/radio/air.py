"""The air: one `Air` connects every controller of a site. The air can lose packets, delay packets and cut connections.

The class `Air` extends bumble's LocalLink in these points:
- Advertisements reach only controllers that listen. With 200 locks, most of the load would come from sending every
  advertisement to every controller.
- A radio can be out of range or without power.
- A cancelled connection attempt ends. If two controllers connect at once, one of them fails.
- An adapter can be attached from another process, as HCI over TCP.
"""

import asyncio
import functools
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import PacketParser, StreamPacketSink

from sim.loopback import serving

# bumble warns of each packet whose connection has ended meanwhile. The faults here make many such packets.
logging.getLogger("bumble").setLevel(logging.CRITICAL)


class AirController(Controller):
    """A BLE controller. ACL packets are as long as data length extension allows (Core, Vol 6, Part B, 2.4)."""

    le_acl_data_packet_length = 251
    _last_handle = 0

    def allocate_connection_handle(self) -> int:
        """Return a new handle.

        Handles of ended connections are not used again. A lock that has not noticed the end of the connection may still
        use such a handle.
        """
        self._last_handle = self._last_handle % 0xEFF + 1
        return self._last_handle

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """If a peer connects again, end its old connection. The base class would keep both connections."""
        if self.le_legacy_advertiser.enabled and (stale := self.le_connections.get(packet.initiator_address)):
            self.on_le_disconnected(stale, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        super().on_le_connect_ind(packet)

    # bumble writes each packet as coloured text for its log, even if nobody reads the log. With many locks, writing
    # this text took a tenth of the processor's time. So these two methods do the same work without the text.

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Take a packet from the host."""
        if isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        elif isinstance(packet, hci.HCI_Command):
            self.on_hci_command_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Send a packet to the host."""
        if self.host:
            asyncio.get_running_loop().call_soon(self.host.on_packet, bytes(packet))

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Cancel a connection attempt, and send the event that belongs to it (Core, Vol 4, Part E, 7.8.13).

        The base class sends no event.
        """
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


_NOTICE_SECONDS = 0.05
"""Seconds until one end notices that the other end is gone. A real link takes longer, but no test needs that time."""

PART_OPCODES = {0x1B: "notification", 0x52: "write"}
"""Opcodes of the ATT PDUs that carry parts of messages. The lock's link and mdoc sessions use the same PDUs."""


@dataclass
class PartFault:
    """A fault that hits one part of a message. From now on, matching parts are counted from 1, and the fault hits the
    part with the number `at`.

    `what` is "drop", "duplicate", "delay" (by `seconds`, together with everything later in the same direction) or "cut"
    (the connection breaks instead). If `carried_by` is given, only a "notification" or only a "write" matches. Only
    values with more bytes than `longer_than` match. The default 1 leaves out the State characteristic. If `between` is
    given, only connections of the radio with this address match.
    """

    what: Literal["drop", "duplicate", "delay", "cut"]
    at: int
    carried_by: Literal["notification", "write"] | None = None
    longer_than: int = 1
    seconds: float = 0.2
    between: str | None = None
    happened: bool = False

    def strikes(self, pdu: bytes, ends: tuple[hci.Address, hci.Address]) -> bool:
        """Does the fault hit this packet?"""
        kind = PART_OPCODES.get(pdu[4]) if len(pdu) > 7 and pdu[2:4] == b"\x04\x00" else None
        if self.happened or kind is None or self.carried_by not in (None, kind) or len(pdu) - 7 <= self.longer_than:
            return False
        if self.between is not None and hci.Address(self.between) not in ends:
            return False
        self.at -= 1
        self.happened = self.at == 0
        return self.happened


class Air(LocalLink):
    """The link layer between all controllers, and its faults.

    `delay_seconds` is the delay of each data packet. If `cut_after` is n > 0, the connection that carries the n-th data
    packet from now is cut. `faults` are faults of single parts of messages. `data_packets` is the number of data
    packets so far. `heard` has the (packets, bytes) so far, by ATT opcode. `advertising_scale` is a factor for every
    advertising interval, for tests that need short intervals. All addresses are random static addresses, written
    "AA:BB:CC:DD:EE:FF".
    """

    def __init__(self, advertising_scale: float = 1.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # bumble leaves it unannotated
        self.advertising_scale = advertising_scale
        self.delay_seconds = 0.0
        self.cut_after = 0
        self.data_packets = 0
        self.heard: dict[int, tuple[int, int]] = {}
        self.faults: list[PartFault] = []
        self._under_way: dict[tuple[bytes, bytes], deque[tuple[float, Callable[[], None]]]] = {}
        self._unreachable: set[bytes] = set()
        self._adapters = itertools.count(1)

    def go_wrong(self, *faults: PartFault) -> None:
        """Cause these faults from now on, and no others."""
        self.faults = list(faults)

    def controller(self, name: str, address: str) -> AirController:
        """Return a new controller on this air, with `address` as its random address."""
        controller = AirController(name, link=self)
        controller.random_address = hci.Address(address)
        return controller

    # --- faults ------------------------------------------------------------------------------------------------------

    def set_in_range(self, address: str, reachable: bool) -> None:
        """Take the radio with `address` out of range of all others, or bring it back.

        When the radio goes out of range, its connections end by timeout.
        """
        key = bytes(hci.Address(address))
        if reachable:
            self._unreachable.discard(key)
            return
        self._unreachable.add(key)
        for controller in list(self.controllers):
            for connection in list(controller.le_connections.values()):
                if bytes(connection.self_address) == key or bytes(connection.peer_address) == key:
                    controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def power_off(self, controller: Controller) -> None:
        """Take a controller off the air. For the peers of this controller, the connections time out."""
        controller.le_legacy_advertiser.stop()
        for advertising in controller.advertising_sets.values():
            advertising.stop()
        for connection in list(controller.le_connections.values()):
            peer = self.find_le_controller(connection.peer_address)
            if peer is not None and (end := peer.le_connections.get(connection.self_address)) is not None:
                peer.on_le_disconnected(end, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        controller.le_connections.clear()
        self.controllers.discard(controller)

    # --- the link layer ----------------------------------------------------------------------------------------------

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        if bytes(sender_controller.random_address) in self._unreachable:
            return
        loop = asyncio.get_running_loop()
        for controller in self.controllers:
            if controller is sender_controller or bytes(controller.random_address) in self._unreachable:
                continue
            if isinstance(packet, ll.ConnectInd):
                wanted = controller.random_address == packet.advertiser_address
            else:
                pending = controller.pending_le_connection
                sought = pending is not None and pending.peer_address == sender_controller.random_address
                wanted = controller.le_scan_enable or sought
            if wanted:
                loop.call_soon(controller.on_ll_advertising_pdu, packet)
        if isinstance(packet, ll.ConnectInd):
            # If another central was faster, this central notices it after six intervals (Core, Vol 6, Part B, 4.5).
            self._notice_later(sender_controller, packet.advertiser_address)

    def _notice_later(self, controller: Controller, peer_address: hci.Address) -> None:
        """Soon end the connection of `controller` to `peer_address`, unless the peer knows of it by then."""
        connection = controller.le_connections.get(peer_address)

        def notice() -> None:
            peer = self.find_le_controller(peer_address)
            if connection is None or controller.le_connections.get(peer_address) is not connection:
                return  # the connection has ended, and a new one may have begun
            if peer is None or controller.random_address not in peer.le_connections:
                controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

        asyncio.get_running_loop().call_later(_NOTICE_SECONDS, notice)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        receiver = self.find_le_controller(destination_address)
        source = sender_controller.random_address
        if receiver is None or source not in receiver.le_connections:
            self._notice_later(sender_controller, destination_address)
            return
        self.data_packets += 1
        if self.cut_after:
            self.cut_after -= 1
            if not self.cut_after:
                self._cut(sender_controller, receiver)
                return
        if data[2:4] == b"\x04\x00":
            packets, size = self.heard.get(data[4], (0, 0))
            self.heard[data[4]] = (packets + 1, size + len(data))
        struck = next((fault for fault in self.faults if fault.strikes(data, (source, destination_address))), None)
        if struck is not None and struck.what == "cut":
            self._cut(sender_controller, receiver)
            return
        if struck is not None and struck.what == "drop":
            return
        loop = asyncio.get_running_loop()
        way = (bytes(source), bytes(destination_address))
        now = loop.time()
        arrives = now + self.delay_seconds
        if struck is not None and struck.what == "delay":
            arrives += struck.seconds
        # Packets in one direction stay in order, even if the loop is late. Each call delivers the packet that has
        # waited longest, even if the call was scheduled for another packet.
        waiting = self._under_way.setdefault(way, deque())
        for _ in range(2 if struck is not None and struck.what == "duplicate" else 1):
            if waiting:
                arrives = max(arrives, waiting[-1][0])
            waiting.append((arrives, functools.partial(_receive, receiver, source, transport, data)))
            if arrives > now:
                loop.call_at(arrives, _deliver, waiting)
            else:
                loop.call_soon(_deliver, waiting)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        # A receiver that lost its power has left the air. The peers of this receiver notice this by a timeout.
        if self.find_le_controller(receiver_address) is not None:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    def _cut(self, one: Controller, other: Controller) -> None:
        for controller, peer in ((one, other), (other, one)):
            connection = controller.le_connections.get(peer.random_address)
            if connection is not None:
                controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    # --- adapters in other processes ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def serving_hci(self) -> AsyncIterator[str]:
        """Serve controllers over TCP (H4). Each connection to the yielded "host:port" gets its own adapter."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = next(self._adapters)
            controller = self.controller(f"adapter-{number}", f"C0:00:00:00:{number >> 8:02X}:{number & 255:02X}")
            controller.set_packet_sink(StreamPacketSink(writer.transport))
            parser = PacketParser(controller)
            try:
                while data := await reader.read(65536):
                    parser.feed_data(data)
            finally:
                controller.set_packet_sink(None)
                self.power_off(controller)

        async with serving(serve) as endpoint:
            yield endpoint


def _deliver(waiting: "deque[tuple[float, Callable[[], None]]]") -> None:
    waiting.popleft()[1]()


def _receive(receiver: Controller, source: hci.Address, transport: PhysicalTransport, data: bytes) -> None:
    # The connection may have ended while the packet was in the air.
    if source in receiver.le_connections:
        receiver.on_link_acl_data(source, transport, data)
