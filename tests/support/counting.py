"""Counts work: calls of the cryptography, comparisons of secrets, and steps of the lock's own code.

A measured time would depend on how busy the machine is. These counts are the same in each run.
"""

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from protocol import cose
from protocol import crypto_cpython as crypto
from sim.board.interpreter import ROOT

OURS = (str(ROOT / "firmware"), str(ROOT / "protocol"))
UNEVEN = (str(ROOT / "firmware" / "hardware" / "console.py"), str(ROOT / "protocol" / "cbor.py"))
"""Files whose steps are not counted. Console lines and some CBOR are longer or shorter, depending on their numbers."""


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


class Work:
    """Counts the work of a function."""

    def __init__(self, counting: CountingCrypto) -> None:
        self._crypto = counting

    def of(self, act: Callable[[], object]) -> dict[str, int]:
        """Run `act`. Count calls of the cryptography by name, comparisons, and bytecode steps of our own code."""
        self._crypto.calls.clear()
        compared = steps = 0

        def inside(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal steps
            steps += event == "opcode"
            return inside

        def entered(frame: FrameType, _event: str, _: Any) -> Any:
            nonlocal compared
            compared += frame.f_code is cose.same.__code__
            path = frame.f_code.co_filename
            if not path.startswith(OURS) or path in UNEVEN:
                return None
            frame.f_trace_opcodes = True
            return inside

        before = sys.gettrace()
        sys.settrace(entered)
        try:
            act()
        finally:
            sys.settrace(before)
        return {**self._crypto.calls, "comparisons": compared, "steps": steps}
