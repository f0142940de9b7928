"""The ether: every controller of the simulated world hangs on one `Air`, which may lose, delay and cut.

Over bumble's LocalLink, with what it lacks for our use: advertisements reach only those who listen (with 200 locks the
fan-out was most of the load), a radio can be out of range or without power, a cancelled connection attempt ends, and
an adapter can be attached from another process as HCI over TCP.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import PacketParser, StreamPacketSink

from sim.loopback import serving


class AirController(Controller):
    """A BLE controller. The ACL length is the one that data length extension gives (Core, Vol 6, Part B, 2.4)."""

    le_acl_data_packet_length = 251

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Core, Vol 4, Part E, 7.8.13: cancelling ends the attempt with an event, which the base class forgets."""
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


class Air(LocalLink):
    """The link layer between all controllers, and its faults.

    `delay_seconds` is added to each data packet; `cut_after` n > 0 cuts the connection that carries the n-th data
    packet from now. `advertising_scale` shortens every advertising interval, for those in a hurry. Addresses are
    written "AA:BB:CC:DD:EE:FF" and are random static ones.
    """

    def __init__(self, advertising_scale: float = 1.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # bumble leaves it unannotated
        self.advertising_scale = advertising_scale
        self.delay_seconds = 0.0
        self.cut_after = 0
        self.data_packets = 0
        self._unreachable: set[bytes] = set()
        self._adapters = itertools.count(1)

    def controller(self, name: str, address: str) -> AirController:
        """A new controller on this air, with `address` as its random address."""
        controller = AirController(name, link=self)
        controller.random_address = hci.Address(address)
        return controller

    # --- faults ------------------------------------------------------------------------------------------------------

    def set_in_range(self, address: str, reachable: bool) -> None:
        """Take the radio with `address` out of everyone's range, or back. Its connections end by timeout."""
        key = bytes(hci.Address(address))
        if reachable:
            self._unreachable.discard(key)
            return
        self._unreachable.add(key)
        for controller in list(self.controllers):
            for connection in list(controller.le_connections.values()):
                if bytes(connection.self_address) == key or bytes(connection.peer_address) == key:
                    controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def disconnect_all(self) -> int:
        """Break every connection as interference would. Returns how many ends there were."""
        broken = 0
        for controller in list(self.controllers):
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
                broken += 1
        return broken

    def power_off(self, controller: Controller) -> None:
        """Take a controller off the air; its peers see their connections time out."""
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

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        receiver = self.find_le_controller(destination_address)
        if receiver is None:
            return
        source = sender_controller.random_address
        self.data_packets += 1
        if self.cut_after:
            self.cut_after -= 1
            if not self.cut_after:
                self._cut(sender_controller, receiver)
                return
        loop = asyncio.get_running_loop()
        if self.delay_seconds:
            loop.call_later(self.delay_seconds, _receive, receiver, source, transport, data)
        else:
            loop.call_soon(_receive, receiver, source, transport, data)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        # A peer that lost its power has left the air; whoever still talks to it learns so by timeout.
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
        """Offer controllers over TCP: each connection to the yielded "host:port" is an adapter of its own (H4)."""

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


def _receive(receiver: Controller, source: hci.Address, transport: PhysicalTransport, data: bytes) -> None:
    # The connection may have ended while the packet was in the air.
    if source in receiver.le_connections:
        receiver.on_link_acl_data(source, transport, data)
