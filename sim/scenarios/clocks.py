"""What the lock knows of the time, and what it does while it knows little."""

import asyncio

from sim.bookings import DAY
from sim.phone.stay_key import StayKeys
from sim.scenarios.story import Script, story
from sim.world import LOCK_ADDRESS, World


async def _wake_alone(world: World) -> None:
    """The power comes back, and no edge agent is in reach."""
    before = len(world.lock.console)
    await world.lock.start()
    await world.lock.wait_for("lock.ready", since=before)


async def _back_in_reach(world: World) -> str:
    """The edge agent is in reach again: what became of the first signed time that it brings, as a code or "taken"."""
    before = len(world.lock.console)
    world.air.set_in_range(LOCK_ADDRESS, True)
    line = await world.lock.wait_for_any(
        ("statement.taken", "statement.refused"), since=before, where=lambda line: line.facts["kind"] == "time"
    )
    return line.facts.get("code", "taken")


@story("cold-start", "Power and network are away: who has checked in gets in, nobody new does; days later nobody does.")
async def _cold_start(script: Script) -> None:
    world = script.world
    inside, expected = world.visitor(), world.visitor()
    inside.phone.stay_keys = StayKeys()
    booking = await world.book(inside, expected)
    pin = world.platform.pin(booking, inside.booking_name())
    world.secret_digits.append(pin)
    script.let_in(await world.tap(inside), "the first guest checks in")
    await world.drain()
    await world.lock.kill()
    world.air.set_in_range(LOCK_ADDRESS, False)
    await _wake_alone(world)
    script.let_in(await world.enter(pin + "#"), "after a power cut, without any courier, the PIN opens")
    script.let_in(await world.tap(inside), "and the stay key")
    script.refused(await world.tap(expected), "the second guest has to wait for the time", "clock.unknown")
    script.promise("the edge agent brings the time", await _back_in_reach(world) == "taken")
    script.let_in(await world.tap(expected), "the second guest checks in")
    await world.drain()
    await world.lock.kill()
    world.air.set_in_range(LOCK_ADDRESS, False)
    world.time.offset += 3 * DAY
    await _wake_alone(world)
    script.let_in(
        await world.enter(pin + "#"),
        "after days without power the lock cannot know that the stay is over: its guests still get in",
    )
    script.promise("until the edge agent brings the time", await _back_in_reach(world) == "taken")
    script.refused(await world.enter(pin + "#"), "then the PIN is dead", "pin.wrong")
    script.refused(await world.tap(inside), "and the stay is over", "grant.over")
    await world.lock.kill()
    world.air.set_in_range(LOCK_ADDRESS, False)
    await _wake_alone(world)
    script.refused(await world.tap(inside), "another power cut does not bring it back", "grant.over")
    await _back_in_reach(world)
    await world.settle(5)


@story(
    "clock-rollback", "The province's clock is wrong, by a day back and by years ahead; old answers are played again."
)
async def _clock_rollback(script: Script) -> None:
    world = script.world
    inside, expected = world.visitor(), world.visitor()
    booking = await world.book(inside, expected)
    pin = world.platform.pin(booking, inside.booking_name())
    world.secret_digits.append(pin)
    script.let_in(await world.tap(inside), "a guest checks in")
    await world.drain()
    for claim, error, code in (
        ("a time that lies a day back", -DAY, "time.rollback"),
        ("a time ten years ahead", 3650 * DAY, "time.ahead"),
    ):
        await world.lock.kill()
        world.air.set_in_range(LOCK_ADDRESS, False)
        world.time.province_error = error
        await _wake_alone(world)
        answer = await _back_in_reach(world)
        script.promise(f"{claim} is not believed ({answer})", answer == code)
        script.refused(await world.tap(expected), f"nobody new comes in on {claim}", "clock.unknown")
        script.let_in(await world.enter(pin + "#"), f"who is in gets in, with {claim}")
    await world.lock.kill()
    world.time.province_error = 0
    old = [message for message in world.wiretap.heard if message.topic.endswith("/cmd")]
    before = len(world.lock.console)
    await world.lock.start()
    await world.lock.wait_for("lock.ready", since=before)
    for message in old:
        await asyncio.to_thread(world.wiretap.replay, message)
    taken = await world.lock.wait_for("statement.taken", since=before, where=lambda line: line.facts["kind"] == "time")
    await world.until("the edge agent to pass over old answers", lambda: bool(world.edge_events("time.stale")))
    lines = world.lock.console[before:]
    times = [line for line in lines if line.event.startswith("statement.") and line.facts["kind"] == "time"]
    script.promise(
        "of all answers, old ones among them, one is taken: the answer to its own question", times == [taken]
    )
    script.let_in(await world.tap(expected), "the second guest checks in")
    await world.settle(4)
