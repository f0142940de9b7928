"""The laptop's end of the maintenance console of a lock in service (`protocol/console.cddl`)."""

import secrets
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from protocol import console_cpython as console
from protocol import record
from protocol.console import Assembler, encode
from protocol.errors import ConfigError, FormatError, RefusedError, TransportError
from tools.board import diagnose

BAUDRATE = 115200
ANSWER_SECONDS = 15.0
"""Number of seconds that a lock may be silent. The lock serves its guests first. Plugging in the cable may also have
started the lock."""
GLANCE_SECONDS = 3.0
"""Number of seconds that we wait for an answer, to find out if a board is a lock in service."""

_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_PIECE, _PAUSE_SECONDS = 48, 0.06
"""Number of bytes that are sent without a pause, and the length of the pause after them, in seconds. A lock reads at
most 64 bytes, 20 times a second. Between two reads, the lock's port can store 260 bytes."""

_REMEDIES = {
    "console.button": "the button inside is not held. Hold it before you start the command, and until the command is "
    "done. If it was held while the lock started, or for five minutes, let it go first",
    "console.unfitted": "the fittings of this lock have no button inside, so nothing can be written or moved",
    "console.busy": "somebody is at the door. Try again",
    "console.halted": "the lock does not serve. `status` says why",
    "console.memory": "the lock has no free memory for this now. Try again",
    "door.unplaced": "the strike moves only after a record of it is written, and without a placement the lock has no "
    "key to seal a record to. Wait until the placement has arrived",
    "journal.full": "too many records wait for a receipt, so no other can be written. Connect the edge agent first",
    "fittings.form": "the lock does not accept these fittings. See docs/installing.md for their form",
    "fittings.input": "the board of this lock has no pin for an input that these fittings name. Take that input out",
}


class Cable:
    """The console on `port`, open within a `with` block. The lock may be silent for `answer_seconds`.

    Raises TransportError `port.missing`, `port.permission` or `port.busy` if the port cannot be opened. Raises
    ConfigError `program.missing` if pyserial is not installed.
    """

    def __init__(self, port: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._port = port
        self._answer_seconds = answer_seconds
        self._number = secrets.randbits(31)
        self._assembler = Assembler(console.UP_LIMIT)

    def __enter__(self) -> "Cable":
        try:
            # pyserial has no type annotations.
            import serial  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise ConfigError("program.missing", "this needs pyserial. Install pyserial") from None
        try:
            self._line = serial.Serial(self._port, BAUDRATE, timeout=_LOOK_SECONDS, write_timeout=5, exclusive=True)
        except (OSError, ValueError):
            raise diagnose(self._port) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    # --- what can be asked -------------------------------------------------------------------------------------------

    def status(self) -> console.Status:
        """Return the lock's report about itself."""
        return console.status(self._ask("status"))

    def log(self) -> list[str]:
        """Return the last lines of the lock's log."""
        return console.lines(self._ask("log"))

    def records(self, start: int = 1) -> Iterator[record.Record]:
        """Yield the records that have no receipt yet, beginning with the record number `start`. They are not verified.
        Raises FormatError `console.form` if the lock sends them out of order.
        """
        while True:
            found = console.exported(self._ask("export", start))
            if found is None:
                return
            if found.counter < start:
                raise FormatError("console.form", "the lock sent a record that was not asked for")
            yield found
            start = found.counter + 1

    def fittings(self) -> bytes:
        """Return the lock's file of fittings. The button must be held."""
        content = self._ask("fittings")
        if not isinstance(content, bytes):
            raise FormatError("console.form", "the lock answered without fittings")
        return content

    def fit(self, content: bytes) -> None:
        """Write the lock's fittings. The lock then restarts. The button must be held."""
        self._ask("fittings", content, repeat=False)

    def inputs(self) -> dict[str, bool]:
        """For each fitted input, return whether the input is away from its state of rest. The button must be held."""
        return console.inputs(self._ask("inputs"))

    def act(self, what: str) -> None:
        """If `what` is "signals", let the lock show its signals. If `what` is "strike", let the lock move its strike
        for one pulse. The button must be held all the time.
        """
        self._ask(what, repeat=False)

    # --- the line ----------------------------------------------------------------------------------------------------

    def _ask(self, command: str, argument: Any = None, repeat: bool = True) -> Any:
        """Return the content of the lock's answer. If `repeat` is true, the request is sent again until the answer
        arrives. Repeating is only for requests that do no harm if they arrive twice.

        Raises RefusedError with the lock's code. Raises TransportError `board.silent` if no answer comes, `port.lost`
        if the port disappears. Raises ConfigError `board.prompt` if a prompt answers. Raises FormatError if the answer
        has no valid form.
        """
        self._number += 1
        request = encode([self._number, command, argument])
        end = time.monotonic() + self._answer_seconds
        again = 0.0
        try:
            while (now := time.monotonic()) < end:
                if now >= again and (repeat or not again):
                    # For a prompt, "#" begins a comment. A lock ignores the "#" and reads the rest.
                    self._write(b"#" + request)
                    again = time.monotonic() + _AGAIN_SECONDS
                for byte in self._line.read(self._line.in_waiting or 1):
                    line = self._assembler.push(byte)
                    if line is not None:
                        if line.rstrip(b"\r") == request[1:].rstrip(b"\n"):
                            raise ConfigError(
                                "board.prompt",
                                f"{self._port} shows a prompt, so no lock is in service there. Enrol it first",
                            )
                        answered, content = self._answered(line)
                        if answered:
                            return content
        except OSError:
            raise TransportError("port.lost", f"the lock on {self._port} disappeared. Check cable and power") from None
        raise TransportError(
            "board.silent",
            f"no lock in service answers on {self._port}. Is it the right port? A lock that is not enrolled yet does "
            "not answer",
        )

    def _write(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE):
            if at:
                time.sleep(_PAUSE_SECONDS)
            self._line.write(data[at : at + _PIECE])

    def _answered(self, line: bytes) -> tuple[bool, Any]:
        try:
            number, code, content = console.answer(line)
        except FormatError:
            return False, None  # this line is noise; the request is sent again
        if number != self._number:
            return False, None
        if code is not None:
            raise RefusedError(code, _REMEDIES.get(code, "the lock refuses. Its code says why (docs/formats.md)"))
        return True, content


def is_in_service(port: str, seconds: float = GLANCE_SECONDS) -> bool:
    """Does a lock in service answer on `port`? Raises the errors of `Cable`, and TransportError `port.lost` if the port
    disappears.
    """
    try:
        with Cable(port, seconds) as cable:
            cable.status()
    except ConfigError as error:
        if error.code == "board.prompt":
            return False
        raise
    except TransportError as error:
        if error.code == "board.silent":
            return False
        raise
    except (FormatError, RefusedError):
        pass  # this lock has another version of the software
    return True
