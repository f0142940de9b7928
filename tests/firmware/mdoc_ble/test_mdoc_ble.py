"""BLE retrieval on the lock's own interpreter. Each phone has its own Bluetooth host."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from bumble.hci import Address

from sim import issuer
from sim.phone.ble import BleHabits, PhoneBluetooth
from sim.phone.ble_process import BleProcess
from sim.phone.phone import Phone, Transaction
from sim.radio.air import PartFault
from tests.support import tap
from tests.support.ble_world import BleWorld, ble_world, edge_beside
from tests.support.radio_world import ADDRESS

CENTRAL, PERIPHERAL = "central", "peripheral"
LARGE = {issuer.MDL: {"org.iso.18013.5.1": ["portrait"]}}


def run(story: Callable[[BleWorld], Awaitable[None]], **settings: Any) -> None:
    async def scene() -> None:
        async with ble_world(**settings) as world:
            await story(world)

    asyncio.run(scene())


async def engaged(world: BleWorld, phone: Phone) -> Transaction:
    """Hold the phone to the reader, and take the phone away. The phone's Bluetooth has done nothing yet."""
    transaction = phone.touch()
    await world.reader.present(b"\x08\x00\x00\x01")
    while (command := await world.reader.command()) is not None:
        await world.reader.respond(transaction.process(command))
    await world.reader.remove()
    return transaction


@pytest.mark.parametrize("mode", [CENTRAL, PERIPHERAL])
def test_a_phone_in_another_process_is_read_at_every_mtu(mode: str) -> None:
    """The lock is the server if the phone is a central, and the client if the phone is a peripheral."""

    async def one(world: BleWorld, mtu: int, largest: int) -> None:
        async with BleProcess(world.hci, BleHabits(mtu=mtu)) as radio:
            read, outcome = await world.tapped(tap.phone(nfc=False, ble_modes=frozenset({mode}), radio=radio))
            assert read.code is None and sorted(read.elements["org.iso.18013.5.1"]) == [
                "birth_date",
                "document_number",
                "family_name",
                "given_name",
            ]
            assert outcome.result == "presented" and outcome.carrier == "ble" and outcome.status == 20
            assert read.marks["ble.waiting"]["mode"] == ("server" if mode == CENTRAL else "client")
            assert read.marks["ble.started"]["mtu"] == radio.mtu == mtu
            whole = read.marks["ble.answered"]["bytes"]
            assert (
                read.marks["ble.answered"]["parts"] == radio.parts[1] == -(-(whole - radio.parts[1]) // (largest - 1))
            )

    async def story(world: BleWorld) -> None:
        for mtu, largest in ((23, 20), (185, 182), (515, 512)):
            await one(world, mtu, largest)

    run(story)


@pytest.mark.parametrize("mode", [CENTRAL, PERIPHERAL])
def test_a_response_of_nine_kilobytes_is_read(mode: str) -> None:
    async def story(world: BleWorld) -> None:
        read, _ = await world.tapped(await world.phone(mode, credentials=[tap.credential(issuer.MDL, portrait=7500)]))
        assert len(read.elements["org.iso.18013.5.1"]["portrait"]) == 7500

    run(story, items=LARGE)


def test_negotiated_handover_leads_to_the_service_that_the_lock_named() -> None:
    async def story(world: BleWorld) -> None:
        for mode in (CENTRAL, PERIPHERAL):
            read, outcome = await world.tapped(await world.phone(mode, negotiates=True))
            assert read.code is None and outcome.result == "presented"

    run(story)


def test_a_phone_that_offers_both_is_read_over_nfc_or_ble_as_the_constant_says() -> None:
    async def story(world: BleWorld) -> None:
        read, outcome = await world.tapped(await world.phone(CENTRAL, nfc=True))
        assert read.code is None and outcome.carrier == "nfc"

    async def other(world: BleWorld) -> None:
        read, outcome = await world.tapped(await world.phone(CENTRAL, PERIPHERAL, nfc=True))
        assert read.code is None and outcome.carrier == "ble" and read.marks["ble.waiting"]["mode"] == "server"

    run(story, carrier="nfc")
    run(other, carrier="ble")


def test_the_lock_says_when_it_is_the_holders_turn_and_has_let_the_card_go_by_then() -> None:
    async def story(world: BleWorld) -> None:
        agreed = asyncio.Event()
        holder = await world.phone(CENTRAL, agrees=agreed)
        tapping = asyncio.create_task(holder.tap(world.reader))
        await world.heard("mdoc.asked")
        assert not tapping.done()
        agreed.set()
        order = [line["mark"] for line in world.log if "mark" in line]
        assert order == ["nfc.engaged", "ble.waiting", "mdoc.session", "ble.started", "mdoc.asked"]
        assert (await world.read()).code is None and (await tapping).result == "presented"

    run(story)


# --- how a session ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [CENTRAL, PERIPHERAL])
def test_either_side_can_end_the_session_and_the_next_tap_is_served(mode: str) -> None:
    async def story(world: BleWorld) -> None:
        said_no = await world.phone(mode, consent=lambda asked: False)
        read, outcome = await world.tapped(said_no)
        assert (read.code, outcome.result) == ("session.declined", "declined")
        read, _ = await world.tapped(await world.phone(mode, habits=BleHabits(end_first=True)))
        assert read.code == "session.declined"
        read, outcome = await world.tapped(await world.phone(mode, tamper="session-data"))
        assert (read.code, outcome.status) == ("session.encryption", 10)
        read, outcome = await world.tapped(await world.phone(mode))
        assert read.code is None and outcome.status == 20

    run(story)


@pytest.mark.parametrize("mode", [CENTRAL, PERIPHERAL])
def test_a_connection_lost_before_the_start_is_made_again_and_lost_after_it_the_tap_has_failed(mode: str) -> None:
    async def story(world: BleWorld) -> None:
        read, outcome = await world.tapped(await world.phone(mode, habits=BleHabits(vanish="before-start")))
        assert read.code is None and outcome.result == "presented"
        read, outcome = await world.tapped(await world.phone(mode, habits=BleHabits(vanish="after-start")))
        assert read.code == "ble.lost" and outcome.result == "unmet"
        read, _ = await world.tapped(await world.phone(mode))
        assert read.code is None

    run(story)


@pytest.mark.parametrize("mode", [CENTRAL, PERIPHERAL])
def test_a_phone_that_does_not_come_or_falls_silent_is_given_up_in_time(mode: str) -> None:
    async def story(world: BleWorld) -> None:
        await world.limit(CONNECT_MS=600)
        await engaged(world, await world.phone(mode))
        assert (await world.read()).code == "ble.no_phone"
        await world.limit(CONNECT_MS=None, STEP_MS=400)
        world.air.faults.append(PartFault("drop", 2, "write" if mode == CENTRAL else "notification"))
        read, _ = await world.tapped(await world.phone(mode, habits=BleHabits(mtu=185)))
        assert str(read.code).split(".")[0] in ("ble", "session", "cbor")
        await world.limit(STEP_MS=None)
        read, _ = await world.tapped(await world.phone(mode))
        assert read.code is None

    run(story)


# --- faults on the air -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [CENTRAL, PERIPHERAL])
def test_faults_at_a_part_end_in_a_clear_failure_or_in_the_right_data_never_in_wrong_data(mode: str) -> None:
    way: Literal["write", "notification"] = "write" if mode == CENTRAL else "notification"
    back: Literal["write", "notification"] = "notification" if mode == CENTRAL else "write"

    async def story(world: BleWorld) -> None:
        for fault, codes in (
            (PartFault("delay", 3, way, seconds=0.3), {None}),
            (PartFault("cut", 3, way), {"ble.lost"}),
            (PartFault("cut", 1, back), {"ble.lost"}),
            (PartFault("cut", 2, back), {"ble.lost"}),
            (PartFault("duplicate", 2, way), {"session.encryption", "ble.unasked", "cbor.form", "cbor.trailing"}),
            (PartFault("drop", 4, way), {"session.encryption", "ble.silent"}),
            (PartFault("duplicate", 1, back), {"session.declined", "session.holder_cbor", "session.holder_encryption"}),
        ):
            world.air.faults = [fault]
            # The lock notices a lost part only by a timeout. No other case here depends on time.
            await world.limit(STEP_MS=500 if fault.what == "drop" else None)
            read, outcome = await world.tapped(await world.phone(mode, habits=BleHabits(mtu=185)))
            assert fault.happened
            assert read.code in codes or str(read.code).startswith("cbor."), fault
            assert (outcome.result == "presented" and outcome.status == 20) == (read.code is None)
        world.air.faults = []
        read, _ = await world.tapped(await world.phone(mode))
        assert read.code is None

    run(story)


# --- beside others ---------------------------------------------------------------------------------------------------


def test_of_two_phones_the_second_is_sent_away_and_the_first_does_not_notice() -> None:
    async def story(world: BleWorld) -> None:
        agreed = asyncio.Event()
        first = await world.phone(CENTRAL, agrees=agreed)
        second = await world.phone(CENTRAL, habits=BleHabits(check_ident=False))
        assert isinstance(second.radio, PhoneBluetooth)
        transaction = await engaged(world, first)
        going = asyncio.create_task(first.go_on(transaction))
        await world.heard("mdoc.asked")
        await second.radio.begin(Address(ADDRESS), transaction.ble_job())
        assert await second.radio.receive() is None and second.radio.parts == (0, 0)
        assert not going.done()
        agreed.set()
        assert (await world.read()).code is None
        await going
        assert transaction.outcome().result == "presented" and transaction.outcome().status == 20

    run(story)


def test_a_phone_that_met_the_wrong_reader_leaves_by_itself() -> None:
    async def story(world: BleWorld) -> None:
        right, wrong = await world.phone(CENTRAL), await world.phone(CENTRAL)
        assert wrong.radio is not None
        transaction = await engaged(world, right)
        job, other = transaction.ble_job(), wrong.touch().ble_job()
        with pytest.raises(ConnectionError, match="ident"):
            await wrong.radio.open(type(other)(other.mode, job.uuid, other.e_device_key_bytes))
        await right.go_on(transaction)
        assert (await world.read()).code is None and transaction.outcome().result == "presented"

    run(story)


def test_a_second_phone_during_a_session_is_told_to_wait_and_disturbs_nothing() -> None:
    async def story(world: BleWorld) -> None:
        agreed = asyncio.Event()
        first = await world.phone(CENTRAL, agrees=agreed)
        going = asyncio.create_task(first.tap(world.reader))
        await world.heard("mdoc.asked")
        second = asyncio.create_task(tap.phone().tap(world.reader))
        while (await world.line()).get("aside") != "busy":
            assert not going.done()
        second.cancel()
        agreed.set()
        read = await world.read()
        assert read.code is None and (await going).result == "presented"
        read, outcome = await world.tapped(tap.phone())
        assert read.code is None and outcome.carrier == "nfc"

    run(story)


def test_the_edge_link_goes_on_undisturbed_before_during_and_after_a_session_in_either_mode() -> None:
    async def story(world: BleWorld) -> None:
        async with edge_beside(world) as edge:
            assert await edge.echo(b"before") == b"before"
            agreed = asyncio.Event()
            first = await world.phone(CENTRAL, agrees=agreed)
            going = asyncio.create_task(first.tap(world.reader))
            await world.heard("mdoc.asked")
            assert await edge.echo(b"during") == b"during"
            agreed.set()
            assert (await world.read()).code is None and (await going).result == "presented"
            assert await edge.echo(b"after") == b"after"
            read, _ = await world.tapped(await world.phone(PERIPHERAL))
            assert read.code is None
            assert await edge.echo(b"undisturbed") == b"undisturbed"
            assert edge.arrivals == 1, "it was never disconnected"

    run(story)
