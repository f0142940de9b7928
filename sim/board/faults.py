"""Plants defects into the firmware before it starts (MOORING_FAULT=name). Tests show that the door stays safe.

Each defect replaces a few methods. Everything else is the firmware that ships.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware.hardware.strike import Strike
    from firmware.memory.journal import Journal
    from firmware.memory.recorder import Recorder

WATCHDOG_MS = 5000
"""Time limit of the watchdog, in milliseconds, after a lock hangs. This limit is shorter than the firmware's limit, and
longer than the strike's pulse.
"""


def _stuck_open() -> None:
    """Make the event loop hang as soon as the strike opens."""
    from machine import WDT

    from firmware.hardware.strike import Strike

    opens = Strike.open

    def stuck(self: "Strike") -> None:
        WDT(timeout=WATCHDOG_MS)
        opens(self)
        while True:
            pass

    setattr(Strike, "open", stuck)  # noqa: B010  mypy has no other way to replace a method


def _crashed_task() -> None:
    """Make the recorder's task fail as soon as it has work to do."""
    from firmware.memory.recorder import Recorder

    def crashed(self: "Recorder") -> bool:
        raise RuntimeError

    setattr(Recorder, "work", crashed)  # noqa: B010


def _crashed_boot() -> None:
    """Make the opening of the flash fail with an unexpected error."""
    from firmware.memory.journal import Journal

    def crashed(self: "Journal") -> None:
        raise RuntimeError

    setattr(Journal, "_scan", crashed)  # noqa: B010


def _opens_first() -> None:
    """Make the strike open before the record is made."""
    from firmware.door.door import Door
    from firmware.hardware.strike import Strike
    from firmware.memory.recorder import Recorder

    serve, records, opens = Door.serve, Recorder.opening, Strike.open
    serving: list[Door] = []

    def remembered(self: Door, arrival: "Any") -> "Any":
        serving[:] = [self]
        return serve(self, arrival)

    def late(self: Recorder, decision: "Any") -> None:
        opens(serving[0]._strike)
        records(self, decision)

    def opened(self: Strike) -> None:
        """Do nothing, because the strike is already open."""

    setattr(Door, "serve", remembered)  # noqa: B010
    setattr(Recorder, "opening", late)  # noqa: B010
    setattr(Strike, "open", opened)  # noqa: B010


_FAULTS: "dict[str, Callable[[], None]]" = {
    "stuck-open": _stuck_open,
    "crashed-task": _crashed_task,
    "crashed-boot": _crashed_boot,
    "opens-first": _opens_first,
}


def plant(name: str) -> None:
    """Plant the fault `name`. Raises KeyError if there is no such fault."""
    _FAULTS[name]()
