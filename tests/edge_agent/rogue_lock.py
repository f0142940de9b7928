"""A radio that claims to be a lock and says whatever a test wants it to say."""

from collections.abc import Callable, Iterable

from bumble import gatt
from bumble.att import Attribute
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.hci import Address
from bumble.host import Host

from protocol import cbor, link
from sim.radio.air import Air

ROGUE_ADDRESS = "F0:00:00:00:00:66"
LOCK_ID = bytes(range(16))
_PROTECTED = cbor.encode({1: -7, 16: "mooring/record"})


def hello(next_counter: int, receipted_through: int = 0, lock_id: bytes = LOCK_ID) -> bytes:
    """A HELLO."""
    return link.hello(lock_id, next_counter, receipted_through, {}, None, b"\x04" + bytes(64))


def record(counter: int, lock_id: bytes = LOCK_ID) -> bytes:
    """A RECORD message; couriers do not check its signature here."""
    previous = bytes(32) if counter == 1 else b"\x01" * 32
    payload = cbor.encode([1, lock_id, counter, previous, b"\x5a" * 40])
    return link.record(cbor.encode([_PROTECTED, {}, payload, bytes(64)]))


class RogueLock:
    """Answers each message of the edge with the parts that `answer` gives for it."""

    def __init__(self, air: Air, answer: Callable[[tuple[object, ...]], Iterable[bytes]]) -> None:
        controller = air.controller("rogue", ROGUE_ADDRESS)
        self._device = Device("rogue", Address(ROGUE_ADDRESS), host=Host(controller, controller))
        self._answer = answer
        self._assembler = link.Assembler()
        write, notify = gatt.Characteristic.Properties.WRITE, gatt.Characteristic.Properties.NOTIFY
        down: gatt.Characteristic[bytes] = gatt.Characteristic(
            UUID(link.DOWN), write, Attribute.WRITEABLE, gatt.CharacteristicValue(write=self._on_write)
        )
        self._up: gatt.Characteristic[bytes] = gatt.Characteristic(UUID(link.UP), notify, Attribute.Permissions(0))
        self._service = gatt.Service(UUID(link.SERVICE), [down, self._up])

    async def start(self, with_service: bool = True) -> None:
        """Go on the air."""
        if with_service:
            self._device.add_service(self._service)
        await self._device.power_on()
        await self._device.start_advertising(
            advertising_data=link.advertisement(LOCK_ID), advertising_interval_min=20, auto_restart=True
        )

    async def _on_write(self, connection: Connection, part: bytes) -> None:
        message = self._assembler.push(part)
        if message is not None:
            for answer in self._answer(link.parse(message)):
                await self._device.notify_subscriber(connection, self._up, answer)
