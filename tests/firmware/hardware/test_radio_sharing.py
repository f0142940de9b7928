"""How the edge link and phones share the radio, on a stack that is as difficult as NimBLE can be."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from firmware.hardware.radio import (
    CENTRAL_CONNECT,
    CENTRAL_DISCONNECT,
    GATTS_WRITE,
    MTU_EXCHANGED,
    PERIPHERAL_CONNECT,
    PERIPHERAL_DISCONNECT,
    RESTARTED,
    SCAN_RESULT,
    Radio,
)
from protocol.errors import TransportError

LINK_SERVICE = ("link", ("down", "up"))
PHONES = ("anchor", (("anchor", 2, ("declaration",)), "state", "in", "out", "ident"))
NAME = bytes(range(16))


class Stack:
    """Replaces `bluetooth.BLE`. The stack registers services only while nothing is on the air.

    The stack ends connections only if `hangs_up` is true.
    """

    def __init__(self, hangs_up: bool = True) -> None:
        self.hangs_up = hangs_up
        self.connections: set[int] = set()
        self.made: set[int] = set()
        """Connections that the lock has made as a client."""
        self.advertising: Any = None
        self.handler: Callable[[int, Any], None] | None = lambda event, data: None
        self.registered: list[tuple[Any, ...]] = []
        self.services: tuple[Any, ...] = ()
        self.failures: list[Exception] = []
        """Errors that the next calls of `gatts_register_services` raise."""
        self.deaf_starts = 0
        """How many of the next starts fail."""
        self.buffers: dict[int, int] = {}
        self.values: dict[int, bytes] = {}
        self.mtu = 256
        self.starts = 0

    def irq(self, handler: Callable[[int, Any], None]) -> None:
        self.handler = handler

    def active(self, on: bool) -> bool:
        self.starts += on
        if not on:
            self.connections.clear()
            self.advertising = None
            self.services = ()
            self.mtu = 256
        elif self.deaf_starts:
            self.deaf_starts -= 1
            raise OSError(116)
        return on

    def config(self, **settings: Any) -> None:
        self.mtu = settings.get("mtu", self.mtu)

    def gap_advertise(self, interval_us: int | None, data: bytes | None = None) -> None:
        self.advertising = None if interval_us is None else data

    def gap_disconnect(self, handle: int) -> bool:
        if handle not in self.connections:
            return False
        if self.hangs_up:
            self.connections.discard(handle)
            self.tell(PERIPHERAL_DISCONNECT if handle in self.made else CENTRAL_DISCONNECT, (handle, 0, b""))
        return True

    def gatts_register_services(self, services: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.connections or self.advertising is not None:
            raise OSError(16)
        self.services = ()
        self.buffers.clear()
        self.values.clear()
        if self.failures:
            raise self.failures.pop(0)
        self.registered.append(services)
        self.services = services
        handles, first = [], 10
        for _, characteristics in services:
            size = sum(1 + (len(each[2]) if isinstance(each, tuple) else 0) for each in characteristics)
            handles.append(tuple(range(first, first + size)))
            first += size
        return tuple(handles)

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        self.buffers[handle] = size

    def gatts_write(self, handle: int, value: bytes) -> None:
        if not self.services:
            raise OSError(19)
        self.values[handle] = value

    def connect(self, handle: int, event: int = CENTRAL_CONNECT) -> None:
        self.advertising = None
        self.connections.add(handle)
        if event == PERIPHERAL_CONNECT:
            self.made.add(handle)
        self.tell(event, (handle, 0, b""))

    def tell(self, event: int, data: Any) -> None:
        """Call the handler as `invoke_irq_handler_run_protected` does. A handler that raised is not called again."""
        if self.handler is None:
            return
        try:
            self.handler(event, data)
        except Exception:  # noqa: BLE001  as the stack does
            self.handler = None


class Link:
    """Replaces the edge link. This link keeps a list of the events that it gets."""

    def __init__(self, shared: Radio) -> None:
        self.events: list[tuple[int, int | None]] = []
        self.fails: list[Exception] = []
        shared.irq(self.on_event)
        shared.active(True)
        shared.config(gap_name="Mooring")
        ((self.down, _),) = shared.gatts_register_services((LINK_SERVICE,))
        shared.gatts_set_buffer(self.down, 512)
        shared.gap_advertise(200000, b"link")

    def on_event(self, event: int, data: Any) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.events.append((event, None if data is None else data[0]))


def scene(hangs_up: bool = True) -> tuple[Stack, Radio, Link, list[tuple[int, int]]]:
    stack = Stack(hangs_up)
    shared = Radio(stack, lambda: PHONES)
    link = Link(shared)
    session: list[tuple[int, int]] = []
    return stack, shared, link, session


def begin(shared: Radio, session: list[tuple[int, int]]) -> tuple[int, ...]:
    shared.borrow(lambda event, data: session.append((event, data[0])))
    return shared.begin(NAME, b"ident")


def test_the_phones_service_is_registered_once_behind_the_links_and_named_anew_for_each_session() -> None:
    stack, shared, link, session = scene()
    assert stack.registered == [(LINK_SERVICE, PHONES)] and len(stack.values[13]) == 16, (
        "the name is set from the beginning"
    )
    stack.connect(1)
    stack.tell(GATTS_WRITE, (1, link.down))
    stack.advertising = b"link"
    assert begin(shared, session) == (14, 15, 16)
    assert (stack.values[13], stack.values[17]) == (bytes(reversed(NAME)), b"ident")
    shared.give_back()
    shared.borrow(lambda event, data: None)
    assert shared.begin(bytes(16), b"other") == (14, 15, 16)
    assert (stack.values[13], stack.values[17]) == (bytes(16), b"other")
    assert len(stack.registered) == 1 and stack.connections == {1} and stack.buffers == {link.down: 512, 15: 512}


def test_no_offer_costs_anybody_a_connection_or_the_link_its_advertising() -> None:
    stack, shared, link, session = scene()
    for handle in (1, 2):
        stack.connect(handle)
    stack.tell(GATTS_WRITE, (1, link.down))
    stack.advertising = b"link"
    begin(shared, session)
    assert stack.connections == {1, 2} and stack.advertising == b"link" and stack.starts == 1
    stack.tell(GATTS_WRITE, (2, link.down))
    assert link.events == [(CENTRAL_CONNECT, 1), (CENTRAL_CONNECT, 2), (GATTS_WRITE, 1), (GATTS_WRITE, 2)]


def test_who_came_for_an_earlier_phones_service_is_not_taken_for_this_one() -> None:
    stack, shared, _link, session = scene()
    begin(shared, session)
    stack.connect(1)
    shared.give_back()
    session.clear()
    state, *_ = begin(shared, session)
    stack.tell(GATTS_WRITE, (1, state))
    assert session == []
    stack.connect(2)
    stack.tell(GATTS_WRITE, (2, state))
    assert [each for each in session if each[0] == GATTS_WRITE] == [(GATTS_WRITE, 2)]


def test_the_link_hears_of_an_edge_that_comes_during_a_session_and_of_a_phone_only_that_it_went() -> None:
    stack, shared, link, session = scene()
    state, *_ = begin(shared, session)
    stack.connect(2)
    stack.tell(GATTS_WRITE, (2, link.down))
    stack.connect(3)
    stack.tell(GATTS_WRITE, (3, state))
    stack.tell(MTU_EXCHANGED, (3, 185))
    stack.tell(CENTRAL_DISCONNECT, (3, 0, b""))
    assert link.events == [(1, 2), (GATTS_WRITE, 2), (1, 3), (CENTRAL_DISCONNECT, 3)]
    assert [event for event, handle in session if handle == 3] == [1, GATTS_WRITE, MTU_EXCHANGED, CENTRAL_DISCONNECT]


def test_who_writes_to_the_service_of_a_session_that_is_over_stays_a_stranger_to_the_link() -> None:
    stack, shared, link, session = scene()
    state, *_ = begin(shared, session)
    shared.give_back()
    for handle in range(1, 5):
        stack.connect(handle)
        stack.tell(GATTS_WRITE, (handle, state))
    assert link.events == [(CENTRAL_CONNECT, handle) for handle in range(1, 5)], "no connection is reported as ended"
    assert session == []


def test_the_links_advertising_waits_for_the_session() -> None:
    stack, shared, _, session = scene()
    begin(shared, session)
    shared.advertise(30000, b"mdoc")
    shared.gap_advertise(200000, b"link, changed")
    assert stack.advertising == b"mdoc"
    shared.give_back()
    assert stack.advertising == b"link, changed"


def test_phones_that_are_left_are_sent_away_with_the_session_and_edges_are_not() -> None:
    stack, shared, link, session = scene()
    state, *_ = begin(shared, session)
    for handle, value in ((2, link.down), (3, state)):
        stack.connect(handle)
        stack.tell(GATTS_WRITE, (handle, value))
    shared.give_back()
    assert stack.connections == {2}


def test_a_second_session_at_the_same_time_is_refused() -> None:
    _, shared, _, session = scene()
    begin(shared, session)
    with pytest.raises(TransportError, match=r"ble\.busy"):
        shared.borrow(lambda event, data: None)


# --- a radio that does not start --------------------------------------------------------------------------------------


def test_a_session_on_a_radio_that_could_not_be_restarted_is_refused_and_the_radio_comes_back() -> None:
    stack, shared, link, session = scene()
    stack.deaf_starts = 2
    stack.connect(1)
    link.fails = [MemoryError()]
    stack.gap_disconnect(1)
    with pytest.raises(OSError, match="116"):
        shared._restart()
    with pytest.raises(TransportError, match=r"ble\.stack"):
        begin(shared, session)
    shared.give_back()
    mended(shared)
    assert stack.services == (LINK_SERVICE, PHONES) and stack.buffers == {link.down: 512, 15: 512}
    assert stack.mtu == 515 and link.events[-1] == (RESTARTED, None), "so it advertises again"


def test_a_radio_that_never_starts_again_is_a_reason_to_restart_the_lock() -> None:
    stack, shared, link, _ = scene()
    stack.deaf_starts = 99
    stack.connect(1)
    link.fails = [MemoryError()]
    stack.gap_disconnect(1)
    with pytest.raises(OSError, match="116"):
        mended(shared)


# --- handlers that fail ----------------------------------------------------------------------------------------------


def mended(shared: Radio) -> None:
    """Let `mend` run for some turns of the event loop."""

    async def turn() -> None:
        mending = asyncio.create_task(shared.mend(pause_ms=0))
        for _ in range(20):
            await asyncio.sleep(0)
        if mending.done():
            mending.result()
        mending.cancel()

    asyncio.run(turn())


@pytest.mark.parametrize("event", [GATTS_WRITE, CENTRAL_CONNECT])
def test_a_handler_that_fails_costs_its_connection_and_the_radio_hears_on(event: int) -> None:
    stack, shared, link, _ = scene()
    stack.connect(1)
    if event == GATTS_WRITE:
        stack.connect(2)
        link.fails = [MemoryError()]
        stack.tell(GATTS_WRITE, (2, link.down))
    else:
        link.fails = [MemoryError()]
        stack.connect(2)
    mended(shared)
    assert stack.connections == {1} and stack.starts == 1
    stack.tell(GATTS_WRITE, (1, link.down))
    assert link.events[-2:] == [(CENTRAL_DISCONNECT, 2), (GATTS_WRITE, 1)]


def test_an_end_that_nobody_has_noted_costs_a_restart() -> None:
    stack, shared, link, _session = scene()
    stack.connect(1)
    link.fails = [MemoryError()]
    stack.gap_disconnect(1)
    mended(shared)
    assert stack.starts == 2 and link.events == [(CENTRAL_CONNECT, 1), (RESTARTED, None)]
    assert stack.services == (LINK_SERVICE, PHONES)


def test_several_handlers_that_fail_cost_a_restart_of_which_the_session_hears_too() -> None:
    stack, shared, link, _session = scene()
    told: list[int] = []
    shared.borrow(lambda event, data: told.append(event))
    shared.begin(NAME, b"ident")
    for handle in (1, 2):
        stack.connect(handle)
    link.fails = [MemoryError(), MemoryError()]
    for handle in (1, 2):
        stack.tell(GATTS_WRITE, (handle, link.down))
    mended(shared)
    assert stack.starts == 2 and stack.connections == set()
    assert told[-1] == link.events[-1][0] == RESTARTED
    assert stack.services == (LINK_SERVICE, PHONES) and stack.advertising == b"link"


def test_an_advertisement_that_could_not_be_noted_is_no_matter() -> None:
    stack, shared, _, _ = scene()

    def full(event: int, data: Any) -> None:
        raise MemoryError

    shared.borrow(full)
    stack.tell(SCAN_RESULT, (0, bytes(6), 0, -60, b""))
    mended(shared)
    assert stack.handler is not None and stack.starts == 1


def test_a_phone_that_could_not_be_taken_over_is_still_the_links_to_forget() -> None:
    stack, shared, link, session = scene()
    state, *_ = begin(shared, session)
    stack.connect(3)
    link.fails = [MemoryError()]
    stack.tell(GATTS_WRITE, (3, state))
    mended(shared)
    assert stack.connections == set() and link.events == [(CENTRAL_CONNECT, 3), (CENTRAL_DISCONNECT, 3)]


def test_a_connection_that_we_made_for_a_session_that_is_over_is_ended() -> None:
    stack, shared, _, _ = scene()
    told: list[int] = []
    shared.borrow(lambda event, data: told.append(event))
    shared.give_back()
    stack.connect(5, PERIPHERAL_CONNECT)
    mended(shared)
    assert stack.connections == set() and stack.starts == 1 and told == []


# --- MTUs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [PERIPHERAL_DISCONNECT, None])
def test_the_mtu_of_a_connection_ends_with_it_even_where_its_end_was_missed(end: int | None) -> None:
    stack, shared, _, _ = scene()
    stack.tell(PERIPHERAL_CONNECT, (0, 1, bytes(6)))
    stack.tell(MTU_EXCHANGED, (0, 515))
    assert shared.mtu(0) == 515
    if end is not None:
        stack.tell(end, (0, 1, bytes(6)))
        assert shared.mtu(0) == 23
    stack.connect(0)
    assert shared.mtu(0) == 23
