"""Counts work: calls of the cryptography, comparisons of secrets, and steps of the lock's own code.

A measured time would depend on how busy the machine is. These counts are the same in each run.
"""

import sys
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from protocol import cose
from protocol import crypto_cpython as crypto
from sim.board.interpreter import ROOT

OURS = (str(ROOT / "firmware"), str(ROOT / "protocol"))
UNEVEN = (str(ROOT / "firmware" / "hardware" / "console.py"), str(ROOT / "protocol" / "cbor.py"))
"""Files whose steps are not counted. Console lines and some CBOR are longer or shorter, depending on the numbers in
them.
"""


class CountingCrypto:
    """The real cryptography, with counters. `calls` counts the calls of each function.

    A function whose name is in `exhausted` raises MemoryError.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.exhausted: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        function = getattr(crypto, name)

        def counted(*arguments: Any) -> Any:
            self.calls[name] += 1
            if name in self.exhausted:
                raise MemoryError
            return function(*arguments)

        return counted


def _counts(code: CodeType) -> bool:
    """Return True if the steps of `code` are counted."""
    return code.co_filename.startswith(OURS) and code.co_filename not in UNEVEN


class Steps:
    """Runs functions, and counts comparisons of secrets and the bytecode steps of our own code.

    `compared` is the number of comparisons, and `taken` is the number of steps.
    """

    def __init__(self) -> None:
        self.compared = self.taken = 0

    def _entered(self, code: CodeType, _offset: int = 0) -> None:
        self.compared += code is cose.same.__code__

    def _stepped(self, code: CodeType, _offset: int = 0) -> None:
        self.taken += _counts(code)

    # A trace function may see no opcodes of a function's first run: CPython 3.12 and 3.13 prepare the function for such
    # reports only when it is entered again. Then a count depends on what ran earlier. `sys.monitoring` (PEP 669)
    # reports from the first step on, but Python 3.11 does not have it.
    if sys.version_info >= (3, 12):

        def of(self, act: Callable[[], object]) -> None:
            """Run `act` and count what it does."""
            monitoring = sys.monitoring
            tool, events = monitoring.PROFILER_ID, monitoring.events
            monitoring.use_tool_id(tool, "steps")
            monitoring.register_callback(tool, events.PY_START, self._entered)
            monitoring.register_callback(tool, events.INSTRUCTION, self._stepped)
            monitoring.set_events(tool, events.PY_START | events.INSTRUCTION)
            try:
                act()
            finally:
                monitoring.set_events(tool, events.NO_EVENTS)
                monitoring.register_callback(tool, events.PY_START, None)
                monitoring.register_callback(tool, events.INSTRUCTION, None)
                monitoring.free_tool_id(tool)

    else:

        def of(self, act: Callable[[], object]) -> None:
            """Run `act` and count what it does."""

            def inside(frame: FrameType, event: str, _: Any) -> Any:
                if event == "opcode":
                    self._stepped(frame.f_code)
                return inside

            def entered(frame: FrameType, _event: str, _: Any) -> Any:
                self._entered(frame.f_code)
                frame.f_trace_opcodes = _counts(frame.f_code)
                return inside if frame.f_trace_opcodes else None

            before = sys.gettrace()
            sys.settrace(entered)
            try:
                act()
            finally:
                sys.settrace(before)


class Work:
    """Counts the work of a function."""

    def __init__(self, counting: CountingCrypto) -> None:
        self._crypto = counting

    def of(self, act: Callable[[], object]) -> dict[str, int]:
        """Run `act`. Count the calls of each function of the cryptography, the comparisons, and the bytecode steps of
        our own code.
        """
        self._crypto.calls.clear()
        steps = Steps()
        steps.of(act)
        return {**self._crypto.calls, "comparisons": steps.compared, "steps": steps.taken}
