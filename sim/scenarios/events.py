"""Scenarios of events that the door itself reports, with or without a guest."""

from edge_agent.counted import counted
from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.fittings import INPUTS, Fittings
from protocol.record import BOOT, CHECK_IN, DOOR, MECHANICAL, TAMPER
from sim.door import Door
from sim.scenarios.story import Script, story

_WATCHED = Fittings(inputs=INPUTS, held_seconds=600)
_ALARMS = (DOOR, MECHANICAL, TAMPER)
_BY_THE_WATCHDOG = {"MOORING_RESET_CAUSE": "3"}


async def _written(door: Door, alarms: int) -> None:
    """Wait until the lock has made `alarms` records about the switches of the door."""
    kinds = [str(kind) for kind in _ALARMS]
    await door.until(
        f"{counted(alarms, 'record')} of the door",
        lambda: sum(e.event == "event.durable" and e.facts["kind"] in kinds for e in door.lock.console) >= alarms,
    )


@story(
    "tamper",
    "The door is forced, opened by key and held open, and the lock's cover is taken off: the province learns it all.",
    fittings=_WATCHED,
)
async def _tamper(script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    expected: list[tuple[int, str]] = []

    async def move(name: str, value: int, *told: tuple[int, str], wait_ms: int = 0) -> None:
        """Set a switch, and wait until the lock has recorded the events that follow."""
        await door.switch(name, value)
        door.pass_ticks(wait_ms)
        expected.extend(told)
        await _written(door, len(expected))

    guest = site.visitor()
    await door.bookings.book(guest)
    await move("contact", 1, (DOOR, "forced"))
    await move("contact", 0, (DOOR, "closed"))
    script.promise("the strike did not move when the door was forced", door.findings.openings() == 0)
    await move("key", 1, (MECHANICAL, "key"))
    await move("contact", 1, (DOOR, "opened"))
    await move("key", 0)
    await move("contact", 0, (DOOR, "closed"))
    script.let_in(await door.tap(guest), "a guest gets in as usual")
    await move("contact", 1, (DOOR, "opened"))
    await move("contact", 0, (DOOR, "closed"))
    await move("handle", 1)
    await move("contact", 1, (DOOR, "opened"), (DOOR, "held"), wait_ms=600_000)
    await move("handle", 0)
    await move("contact", 0, (DOOR, "closed"))
    await move("tamper", 1, (TAMPER, "opened"))
    # The power fails while the cover is off. When the power comes back, the door is open and no edge agent is in reach.
    await door.lock.kill()
    await edge.stop()
    door.bus.set_input(pins.INPUTS["contact"], 1)
    await door.lock.start(_BY_THE_WATCHDOG)
    expected += [(TAMPER, "opened"), (DOOR, "found-open")]
    await _written(door, len(expected))
    await edge.start()
    await move("contact", 0, (DOOR, "closed"))
    await move("tamper", 0, (TAMPER, "closed"))
    await door.drain()
    events = [(item.kind, item.what) for item in site.province.events() if item.kind in _ALARMS]
    script.promise(
        "the province knows all {events:event}, in the order they happened", events == expected, events=len(expected)
    )
    boots = [item.what for item in site.province.events(BOOT)]
    script.promise("the province knows why the lock booted", boots == ["power-on", "watchdog"])
    script.promise("the guest is registered once", len(site.province.registrations(CHECK_IN)) == 1)
    script.promise("no counter is missing or used twice", door.findings.unbroken())
