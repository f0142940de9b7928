"""A radio stack for bleak, for tests over hours of virtual time. A test decides which peers exist, and which of them
answer.

A peer that is a lock speaks the real protocol. All other peers only advertise like a lock.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import bleak
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError

from protocol import cbor, link
from protocol import crypto_cpython as crypto
from protocol.link_session import Responder, Session
from protocol.parts import Assembler, Parts
from tests.support.link_keys import LinkKeys

PART = 244


class Peer:
    """A device on the air.

    If `answers` is false, connections to the peer fail. `responder` makes a lock's side of the handshake. A peer with
    `responder` says HELLO, sends its records and accepts statements. A peer without `responder` accepts connections,
    but sends nothing.
    """

    def __init__(
        self, prefix: bytes, responder: Callable[[], Responder] | None = None, answers: bool = True, rssi: int = -40
    ) -> None:
        self.prefix, self.responder, self.answers, self.rssi = prefix, responder, answers, rssi
        self.hellos: list[bytes] = []
        """HELLOs of the peer, one for each connection. All further connections get the last HELLO again."""
        self.records: list[bytes] = []
        """Records of the peer, the first of which has the counter 1."""
        self.statements: list[bytes] = []
        """Statements that were delivered to the peer."""
        self.thinks = 0.0
        """Seconds that the peer takes for each answer of the handshake, and for each record."""
        self.refuses = False
        """True if the peer ends each connection at once."""

    def hello(self) -> bytes:
        """Return the next HELLO, which states the number of records."""
        said = link.parse(self.hellos.pop(0) if len(self.hellos) > 1 else self.hellos[0])[1]
        said.next_counter = max(said.next_counter, len(self.records) + 1)
        return bytes(said.encode())


def record_of(keys: LinkKeys, counter: int) -> bytes:
    """Return a record. Its signature is wrong, but the link does not check signatures."""
    payload = cbor.encode([1, keys.lock_id, counter, bytes(32) if counter == 1 else b"\x01" * 32, b"\x5a" * 40])
    return cbor.encode([cbor.encode({1: -7, 16: "mooring/record"}), {}, payload, bytes(64)])


def lock_of(keys: LinkKeys, **looks: Any) -> Peer:
    """Return a peer that is a lock with these keys."""
    peer = Peer(keys.lock_id[:6], lambda: Responder(crypto, keys.link, keys.proof(), crypto.generate("P-256")), **looks)
    peer.hellos = [link.Hello(keys.lock_id, 1, 0, {}, None, keys.lock[1]).encode()]
    return peer


class Ether:
    """The air. `peers` holds the devices on the air by address. `tries` lists (time, address) of each attempt to
    connect. The adapter holds at most `connections` connections; each further attempt fails after some seconds.
    """

    def __init__(self, client: "type[Client] | None" = None, connections: int = 999) -> None:
        self._client = client or Client
        self.connections = connections
        self.full = 0
        """Number of attempts that failed because the adapter was full."""
        self.most_connected = 0
        self.peers: dict[str, Peer] = {}
        self.tries: list[tuple[float, str]] = []
        self.clients: dict[str, Client] = {}
        self.trying: set[str] = set()
        self.most_trying = 0
        self.scan_hangs = False
        self.on_scan: Callable[[], None] = lambda: None

    def moments(self, address: str) -> list[float]:
        """Return the times of all attempts to connect to `address`."""
        return [at for at, tried in self.tries if tried == address]

    def leave(self, address: str) -> None:
        """Take the peer at `address` out of range, and end its connection."""
        self.peers.pop(address, None)
        if (client := self.clients.pop(address, None)) is not None:
            client.lost()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let bleak use this radio until the block ends."""
        ether = self

        class Here(ether._client):  # type: ignore[misc, name-defined]  # chosen by the test
            _ether = ether

        class Listening(Scanner):
            _ether = ether

        with (
            patch.object(bleak, "get_platform_scanner_backend_type", lambda: (Listening, "scripted")),
            patch.object(bleak, "get_platform_client_backend_type", lambda: (Here, "scripted")),
        ):
            yield


class Scanner(BaseBleakScanner):
    """A scanner that hears every peer."""

    _ether: Ether

    def __init__(self, callback: Any, service_uuids: list[str] | None, *_: Any, **__: Any) -> None:
        super().__init__(callback, service_uuids)

    async def start(self) -> None:
        self.seen_devices = {}
        if self._ether.scan_hangs:
            await asyncio.get_running_loop().create_future()
        self._ether.on_scan()
        for address, peer in self._ether.peers.items():
            data = AdvertisementData(None, {link.COMPANY: peer.prefix}, {}, [link.SERVICE], None, peer.rssi, ())
            self.seen_devices[address] = (BLEDevice(address, None, None), data)

    async def stop(self) -> None:
        return


class Client(BaseBleakClient):
    """A connection to a peer."""

    _ether: Ether

    def __init__(self, address: Any, **options: Any) -> None:
        callback = options.get("disconnected_callback")
        super().__init__(address, disconnected_callback=callback, timeout=options.get("timeout", 10.0))
        self._peer: Peer | None = None
        self._notify: Callable[[bytearray], None] = lambda _value: None
        self._responder: Responder | None = None
        self._session: Session | None = None
        self._assembler = Assembler()
        self._work: asyncio.Future[None] | None = None

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return PART + 3

    @property
    def is_connected(self) -> bool:
        return self._peer is not None

    async def connect(self, pair: bool = False, **kwargs: Any) -> None:
        ether = self._ether
        ether.tries.append((asyncio.get_running_loop().time(), self.address))
        ether.trying.add(self.address)
        ether.most_trying = max(ether.most_trying, len(ether.trying))
        try:
            peer = ether.peers.get(self.address)
            if peer is None or not peer.answers:
                await asyncio.sleep(self._timeout)
                raise BleakDeviceNotFoundError(self.address, "not there")
            await asyncio.sleep(0.5)
        finally:
            ether.trying.discard(self.address)
        if peer.refuses:
            raise BleakError("le-connection-abort-by-local")
        if len(ether.clients) >= ether.connections:
            ether.full += 1
            await asyncio.sleep(4)
            raise BleakError("le-connection-abort-by-local")
        self._peer, self.services = peer, BleakGATTServiceCollection()
        ether.clients[self.address] = self
        ether.most_connected = max(ether.most_connected, len(ether.clients))
        service = BleakGATTService(None, 1, link.SERVICE)
        self.services.add_service(service)
        for handle, uuid in ((2, link.DOWN), (4, link.UP)):
            found = BleakGATTCharacteristic(None, handle, uuid, ["write"], lambda: PART, service)
            self.services.add_characteristic(found)

    def lost(self) -> None:
        """Report to bleak that the peer has disconnected."""
        self._peer = None
        self._ether.clients.pop(self.address, None)
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        self._peer = None
        if self._ether.clients.get(self.address) is self:
            del self._ether.clients[self.address]

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        if self._peer is None:
            raise BleakError("not connected")
        message = self._assembler.push(bytes(data), link.MESSAGE_LIMIT)
        if message is None or self._peer.responder is None:
            return
        self._work = asyncio.ensure_future(self._answer(self._peer, message))

    async def _answer(self, peer: Peer, message: bytes) -> None:
        if self._session is not None:
            await self._take(peer, self._session, link.parse(self._session.open(message)))
            return
        await asyncio.sleep(peer.thinks)
        if self._responder is None:
            assert peer.responder is not None
            self._responder = peer.responder()
            self._responder.opened(message)
            self._say(self._responder.answer())
        else:
            _, _, self._session = self._responder.finished(message)
            self._say(self._session.seal(peer.hello()))

    async def _take(self, peer: Peer, session: Session, message: tuple[Any, ...]) -> None:
        if message[0] == link.DELIVER:
            await asyncio.sleep(peer.thinks)
            peer.statements.append(message[1])
            self._say(session.seal(link.result("grant", None)))
        elif message[2] == 0:
            self._say(session.seal(peer.hello()))
        else:
            for item in peer.records[message[1] - 1 :][: message[2]]:
                await asyncio.sleep(peer.thinks)
                self._say(session.seal(link.record(item)))

    def _say(self, message: bytes) -> None:
        if self._peer is not None:
            for part in Parts(message, PART):
                asyncio.get_running_loop().call_soon(self._notify, bytearray(part))

    async def start_notify(self, characteristic: Any, callback: Any, **kwargs: Any) -> None:
        self._notify = callback

    async def stop_notify(self, characteristic: Any) -> None:
        return

    async def read_gatt_char(self, characteristic: Any, **kwargs: Any) -> bytearray:
        raise NotImplementedError

    async def read_gatt_descriptor(self, descriptor: Any, **kwargs: Any) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        raise NotImplementedError

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError
