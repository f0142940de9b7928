"""A radio that acts as a lock. A test decides how the radio does the handshake, and which messages the radio sends
afterwards.
"""

from collections.abc import Callable, Iterable

from bumble import gatt
from bumble.att import Attribute
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.hci import Address
from bumble.host import Host

from protocol import cbor, link, link_session
from protocol import crypto_cpython as crypto
from protocol.link_session import Responder, Session
from protocol.parts import Assembler, Parts
from sim.radio.air import Air
from tests.support.link_keys import LinkKeys

ROGUE_ADDRESS = "F0:00:00:00:00:66"
KEYS = LinkKeys(crypto)
LOCK_ID = KEYS.lock_id
_PROTECTED = cbor.encode({1: -7, 16: "mooring/record"})

Answer = Callable[[tuple[object, ...]], Iterable[bytes]]
"""A function that gets a message of the edge and returns the messages of the answer.

For a FINISH, the function gets a PULL of no records.
"""


def hello(next_counter: int, receipted_through: int = 0, lock_id: bytes = LOCK_ID, public: bytes = b"") -> bytes:
    """Return a HELLO message."""
    return link.Hello(lock_id, next_counter, receipted_through, {}, None, public or KEYS.lock[1]).encode()


def record(counter: int, lock_id: bytes = LOCK_ID) -> bytes:
    """Return a RECORD message. The signature of the record in this message is wrong, but the link does not check
    signatures.
    """
    previous = bytes(32) if counter == 1 else b"\x01" * 32
    payload = cbor.encode([1, lock_id, counter, previous, b"\x5a" * 40])
    return link.record(cbor.encode([_PROTECTED, {}, payload, bytes(64)]))


def genuine() -> Responder:
    """Return the lock's side of a correct handshake. The lock's id is LOCK_ID."""
    return Responder(crypto, KEYS.link, KEYS.proof(), crypto.generate("P-256"))


class RogueLock:
    """A lock that answers each message of the edge with the messages that `answer` returns. It seals them first.

    `handshake` makes the lock's side of the handshake. If `handshake` returns None, there is no handshake. `seal`
    replaces the sealing of a message, and `parts` replaces the division of a message into parts.
    """

    def __init__(
        self,
        air: Air,
        answer: Answer,
        handshake: Callable[[], Responder | None] = genuine,
        seal: Callable[[Session, bytes], bytes] = Session.seal,
        parts: Callable[[bytes], Iterable[bytes]] = lambda message: [b"\x00" + message],
    ) -> None:
        controller = air.controller("rogue", ROGUE_ADDRESS)
        self._device = Device("rogue", Address(ROGUE_ADDRESS), host=Host(controller, controller))
        self._answer, self._handshake, self._seal, self._parts = answer, handshake, seal, parts
        self._responder: Responder | None = None
        self._session: Session | None = None
        self._assembler = Assembler()
        write, notify = gatt.Characteristic.Properties.WRITE, gatt.Characteristic.Properties.NOTIFY
        down: gatt.Characteristic[bytes] = gatt.Characteristic(
            UUID(link.DOWN), write, Attribute.WRITEABLE, gatt.CharacteristicValue(write=self._on_write)
        )
        self._up: gatt.Characteristic[bytes] = gatt.Characteristic(UUID(link.UP), notify, Attribute.Permissions(0))
        self._service = gatt.Service(UUID(link.SERVICE), [down, self._up])
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)

    async def start(self, with_service: bool = True) -> None:
        """Switch the radio on, and start to advertise."""
        if with_service:
            self._device.add_service(self._service)
        await self._device.power_on()
        await self._device.start_advertising(
            advertising_data=link.advertisement(LOCK_ID, bytes(2)), advertising_interval_min=20, auto_restart=True
        )

    def _on_connection(self, _connection: Connection) -> None:
        self._responder = self._session = None
        self._assembler.reset()

    async def _on_write(self, connection: Connection, part: bytes) -> None:
        message = self._assembler.push(part, link.MESSAGE_LIMIT)
        if message is None:
            return
        if self._session is not None:
            await self._say(connection, self._answer(link.parse(self._session.open(message))))
        elif self._responder is not None:
            _, _, self._session = self._responder.finished(message)
            await self._say(connection, self._answer((link.PULL, 1, 0)))
        else:
            self._responder = self._handshake()
            if self._responder is None:
                await self._say(connection, self._answer((link_session.OPEN, message)))
                return
            self._responder.opened(message)
            for part in Parts(self._responder.answer(), 100):
                await self._device.notify_subscriber(connection, self._up, part)

    async def _say(self, connection: Connection, messages: Iterable[bytes]) -> None:
        for message in messages:
            sealed = message if self._session is None else self._seal(self._session, message)
            for part in self._parts(sealed):
                await self._device.notify_subscriber(connection, self._up, part)
