"""Scenarios of the lock's clock. The scenarios show what the lock does while it does not know the time exactly."""

import asyncio

from sim.bookings import DAY
from sim.door import Door
from sim.scenarios.story import Script, story
from sim.words import phrase


async def _wake_alone(door: Door) -> None:
    """Power the lock up while no edge agent is in reach."""
    before = len(door.lock.console)
    await door.lock.start()
    await door.lock.wait_for("lock.ready", since=before)


async def _back_in_reach(script: Script) -> str:
    """Bring the edge agent back into reach, and wait for the lock's answer to the first signed time.

    Returns "taken" if the lock took the time, otherwise the code of the refusal.
    """
    site, door = script.site, script.door
    before = len(door.lock.console)
    site.air.set_in_range(door.address, True)
    line = await door.lock.wait_for_any(
        ("statement.taken", "statement.refused"), since=before, where=lambda line: line.facts["kind"] == "time"
    )
    return line.facts.get("code", "taken")


@story("cold-start", "Power and network are gone: registered guests get in, new ones do not. Days later nobody does.")
async def _cold_start(script: Script) -> None:
    site, door = script.site, script.door
    inside, expected = site.visitor(), site.visitor()
    inside.phone.install_stay_keys()
    booking = await door.bookings.book(inside, expected)
    pin = site.platform.pin(booking, inside.booking_name())
    site.secret_digits.append(pin)
    script.let_in(await door.tap(inside), "the first guest checks in")
    await door.drain()
    await door.lock.kill()
    site.air.set_in_range(door.address, False)
    await _wake_alone(door)
    script.let_in(await door.enter(pin + "#"), "after a power cut, without any edge agent, the PIN opens")
    script.let_in(await door.tap(inside), "and so does the stay key")
    script.refused(await door.tap(expected), "the second guest has to wait for the time", "clock.unknown")
    script.promise("the edge agent brings the time", await _back_in_reach(script) == "taken")
    script.let_in(await door.tap(expected), "the second guest checks in")
    await door.drain()
    await door.lock.kill()
    site.air.set_in_range(door.address, False)
    site.time.pass_by(3 * DAY)
    await _wake_alone(door)
    script.let_in(
        await door.enter(pin + "#"),
        "after days without power the lock cannot know that the stay is over: its guests still get in",
    )
    script.promise("until the edge agent brings the time", await _back_in_reach(script) == "taken")
    script.refused(await door.enter(pin + "#"), "then the PIN no longer opens", "pin.wrong")
    script.refused(await door.tap(inside), "and the stay is over", "grant.over")
    await door.lock.kill()
    site.air.set_in_range(door.address, False)
    await _wake_alone(door)
    script.refused(await door.tap(inside), "another power cut does not bring it back", "grant.over")
    await _back_in_reach(script)
    await door.settle(5)


@story("clock-rollback", "The province's clock is wrong, by a day back and by years ahead; old answers are replayed.")
async def _clock_rollback(script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    inside, expected = site.visitor(), site.visitor()
    booking = await door.bookings.book(inside, expected)
    pin = site.platform.pin(booking, inside.booking_name())
    site.secret_digits.append(pin)
    script.let_in(await door.tap(inside), "a guest checks in")
    await door.drain()
    for wrong, error, code in (
        (phrase("a time that lies a day back"), -DAY, "time.rollback"),
        (phrase("a time ten years ahead"), 3650 * DAY, "time.ahead"),
    ):
        await door.lock.kill()
        site.air.set_in_range(door.address, False)
        site.time.mislead_the_province(error)
        await _wake_alone(door)
        answer = await _back_in_reach(script)
        script.promise("{time} is not believed ({code})", answer == code, time=wrong, code=answer)
        script.refused(await door.tap(expected), "no new guest comes in with {time}", "clock.unknown", time=wrong)
        script.let_in(await door.enter(pin + "#"), "a registered guest gets in, with {time}", time=wrong)
    await door.lock.kill()
    site.time.mislead_the_province(0)
    old = [message for message in site.wiretap.heard if message.topic.endswith("/cmd")]
    before = len(door.lock.console)
    await door.lock.start()
    await door.lock.wait_for("lock.ready", since=before)
    for message in old:
        await asyncio.to_thread(site.wiretap.replay, message)
    taken = await door.lock.wait_for("statement.taken", since=before, where=lambda line: line.facts["kind"] == "time")
    await site.until("the edge agent to skip old answers", lambda: bool(edge.events("time.stale")))
    lines = door.lock.console[before:]
    times = [line for line in lines if line.event.startswith("statement.") and line.facts["kind"] == "time"]
    script.promise("of all answers, old and new, the lock takes only the one to its own question", times == [taken])
    script.let_in(await door.tap(expected), "the second guest checks in")
    await door.settle(4)
