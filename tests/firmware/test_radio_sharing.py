"""How the radio is shared, against a stack that is as awkward as NimBLE may be."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from firmware import radio
from firmware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, MTU_EXCHANGED, Radio
from protocol.errors import TransportError

LINK_SERVICE = ("link", ("down", "up"))
MDOC_SERVICE = ("mdoc", ("state", "in", "out", "ident"))


class Stack:
    """A `bluetooth.BLE`: registers services only when silent, and ends connections only if it feels like it."""

    def __init__(self, hangs_up: bool = True) -> None:
        self.hangs_up = hangs_up
        self.connections: set[int] = set()
        self.advertising: Any = None
        self.handler: Callable[[int, Any], None] = lambda event, data: None
        self.registered: list[tuple[Any, ...]] = []
        self.buffers: dict[int, int] = {}
        self.mtu = 256
        self.starts = 0
        self.sneak_in = 0

    def irq(self, handler: Callable[[int, Any], None]) -> None:
        self.handler = handler

    def active(self, on: bool) -> bool:
        self.starts += on
        if not on:
            self.connections.clear()
            self.advertising = None
            self.mtu = 256
        return on

    def config(self, **settings: Any) -> None:
        self.mtu = settings.get("mtu", self.mtu)

    def gap_advertise(self, interval_us: int | None, data: bytes | None = None) -> None:
        self.advertising = None if interval_us is None else data

    def gap_disconnect(self, handle: int) -> bool:
        if self.hangs_up and handle in self.connections:
            self.connections.discard(handle)
            self.handler(CENTRAL_DISCONNECT, (handle, 0, b""))
        return True

    def gatts_register_services(self, services: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.sneak_in:
            self.sneak_in -= 1
            self.connections.add(9)
        if self.connections or self.advertising is not None:
            raise OSError(16)
        self.registered.append(services)
        self.buffers.clear()
        handles, first = [], 10
        for _, characteristics in services:
            handles.append(tuple(range(first, first + len(characteristics))))
            first += len(characteristics)
        return tuple(handles)

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        self.buffers[handle] = size

    def connect(self, handle: int) -> None:
        self.advertising = None
        self.connections.add(handle)
        self.handler(CENTRAL_CONNECT, (handle, 0, b""))


class Link:
    """The edge link's side: keeps the events it is told of."""

    def __init__(self, shared: Radio) -> None:
        self.events: list[tuple[int, int]] = []
        shared.irq(lambda event, data: self.events.append((event, data[0])))
        shared.active(True)
        shared.config(mtu=247, gap_name="Mooring")
        ((self.down, _),) = shared.gatts_register_services((LINK_SERVICE,))
        shared.gatts_set_buffer(self.down, 512)
        shared.gap_advertise(200000, b"link")


def scene(hangs_up: bool = True) -> tuple[Stack, Radio, Link, list[tuple[int, int]]]:
    stack = Stack(hangs_up)
    shared = Radio(stack)
    link = Link(shared)
    session: list[tuple[int, int]] = []
    return stack, shared, link, session


def serve(shared: Radio, session: list[tuple[int, int]]) -> tuple[int, ...]:
    shared.borrow(lambda event, data: session.append((event, data[0])))
    return asyncio.run(shared.serve(MDOC_SERVICE))


def test_the_links_service_keeps_its_place_and_its_buffer_when_a_session_adds_its_own() -> None:
    stack, shared, link, session = scene()
    handles = serve(shared, session)
    assert stack.registered[-1] == (LINK_SERVICE, MDOC_SERVICE) and handles == (12, 13, 14, 15)
    assert stack.buffers == {link.down: 512}
    assert stack.advertising is None, "the air is the session's"


def test_every_connection_ends_before_services_are_registered_and_the_link_hears_of_it() -> None:
    stack, shared, link, session = scene()
    stack.connect(1)
    serve(shared, session)
    assert link.events == [(CENTRAL_CONNECT, 1), (CENTRAL_DISCONNECT, 1)] and stack.starts == 1


def test_a_connection_that_does_not_end_costs_a_restart_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(radio, "SILENCE_MS", 100)
    stack, shared, link, session = scene(hangs_up=False)
    stack.connect(1)
    serve(shared, session)
    assert stack.starts == 2 and stack.registered[-1] == (LINK_SERVICE, MDOC_SERVICE)
    assert link.events[-1] == (CENTRAL_DISCONNECT, 1)
    assert stack.mtu == 515 and stack.buffers == {link.down: 512}


def test_a_connection_that_sneaks_in_before_the_registration_costs_a_restart_as_well() -> None:
    stack, shared, _, session = scene()
    stack.sneak_in = 1
    serve(shared, session)
    assert stack.starts == 2 and stack.registered[-1] == (LINK_SERVICE, MDOC_SERVICE)


def test_the_link_hears_of_an_edge_that_comes_during_a_session_and_of_a_phone_only_that_it_went() -> None:
    stack, shared, link, session = scene()
    state, *_ = serve(shared, session)
    stack.connect(2)
    stack.handler(GATTS_WRITE, (2, link.down))
    stack.connect(3)
    stack.handler(GATTS_WRITE, (3, state))
    stack.handler(MTU_EXCHANGED, (3, 185))
    stack.handler(CENTRAL_DISCONNECT, (3, 0, b""))
    assert link.events == [(1, 2), (GATTS_WRITE, 2), (1, 3), (CENTRAL_DISCONNECT, 3)]
    assert [event for event, handle in session if handle == 3] == [1, GATTS_WRITE, MTU_EXCHANGED, CENTRAL_DISCONNECT]


def test_the_links_advertising_waits_for_the_session_and_the_mtu_is_as_before_it() -> None:
    stack, shared, _, session = scene()
    serve(shared, session)
    shared.advertise(30000, b"mdoc")
    shared.gap_advertise(200000, b"link, changed")
    assert stack.advertising == b"mdoc" and stack.mtu == 515
    shared.give_back()
    assert stack.advertising == b"link, changed" and stack.mtu == 247


def test_phones_that_are_left_are_sent_away_with_the_session_and_edges_are_not() -> None:
    stack, shared, link, session = scene()
    state, *_ = serve(shared, session)
    for handle, value in ((2, link.down), (3, state)):
        stack.connect(handle)
        stack.handler(GATTS_WRITE, (handle, value))
    shared.give_back()
    assert stack.connections == {2}


def test_a_second_session_at_the_same_time_is_refused() -> None:
    _, shared, _, session = scene()
    serve(shared, session)
    with pytest.raises(TransportError, match=r"ble\.busy"):
        shared.borrow(lambda event, data: None)
