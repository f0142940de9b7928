"""Defects planted into the firmware before it starts (MOORING_FAULT=name), to see that the door comes to no harm.

Each replaces one method by one that fails as a defect in it would; all else is the firmware as it ships.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.journal import Journal
    from firmware.recorder import Recorder
    from firmware.strike import Strike

WATCHDOG_MS = 5000
"""From the moment a lock hangs, so that nobody has to wait for the true one; longer than the strike's pulse."""


def _stuck_open() -> None:
    """The loop never comes round again from the moment the strike opens."""
    from machine import WDT

    from firmware.strike import Strike

    opens = Strike.open

    def stuck(self: "Strike") -> None:
        WDT(timeout=WATCHDOG_MS)
        opens(self)
        while True:
            pass

    setattr(Strike, "open", stuck)  # noqa: B010  mypy has no other way to replace a method


def _crashed_task() -> None:
    """The task that makes records ends with an error as soon as there is something to do."""
    from firmware.recorder import Recorder

    def crashed(self: "Recorder") -> bool:
        raise RuntimeError

    setattr(Recorder, "work", crashed)  # noqa: B010


def _crashed_boot() -> None:
    """Opening the flash fails in a way that nobody has thought of."""
    from firmware.journal import Journal

    def crashed(self: "Journal") -> None:
        raise RuntimeError

    setattr(Journal, "_scan", crashed)  # noqa: B010


_FAULTS: "dict[str, Callable[[], None]]" = {
    "stuck-open": _stuck_open,
    "crashed-task": _crashed_task,
    "crashed-boot": _crashed_boot,
}


def plant(name: str) -> None:
    """Plant the fault of that name. Raises KeyError."""
    _FAULTS[name]()
