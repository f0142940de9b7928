"""The maintenance console of a lock in service, from the laptop's end of the cable (`protocol/console.cddl`)."""

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
"""How long a lock may keep silent: it serves its guests first, and may just have been started by the cable."""
GLANCE_SECONDS = 3.0
"""How long a board is asked whether it is a lock in service."""

_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_PIECE, _PAUSE_SECONDS = 48, 0.06
"""A lock looks 20 times a second and takes 64 bytes at a time; its port keeps 260 in between."""

_REMEDIES = {
    "console.button": "hold the button inside from before the command until it is done. One that was held while the "
    "lock started, or for five minutes, has to be let go first",
    "console.unfitted": "the fittings of this lock have no button inside, so nothing is written or moved",
    "console.busy": "somebody is at the door. Try again",
    "console.halted": "the lock does not serve; `status` tells why",
    "console.memory": "the lock has no room for this just now. Try again",
    "door.unplaced": "the strike moves only after a record of it, and the lock has no key to seal one to before its "
    "placement has come",
    "journal.full": "too many records wait for a receipt to add one of this",
    "fittings.form": "the lock does not take these fittings",
}


class Cable:
    """The console on `port`, while in a `with` block. `answer_seconds` is how long the lock may keep silent.

    Raises TransportError `port.missing`, `port.permission`, `port.busy`; ConfigError `program.missing`.
    """

    def __init__(self, port: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._port = port
        self._answer_seconds = answer_seconds
        self._number = secrets.randbits(31)
        self._assembler = Assembler(console.UP_LIMIT)

    def __enter__(self) -> "Cable":
        try:
            # pyserial has no types of its own.
            import serial  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise ConfigError("program.missing", "this needs pyserial. Install it") from None
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
        """What the lock says of itself."""
        return console.status(self._ask("status"))

    def log(self) -> list[str]:
        """The last lines of its log."""
        return console.lines(self._ask("log"))

    def records(self, start: int = 1) -> Iterator[record.Record]:
        """The records from `start` on that wait for their receipt, unverified. Raises FormatError `console.form` when
        the lock gives them out of order."""
        while True:
            found = console.exported(self._ask("export", start))
            if found is None:
                return
            if found.counter < start:
                raise FormatError("console.form", "a record that was not asked for")
            yield found
            start = found.counter + 1

    def fittings(self) -> bytes:
        """Its file of fittings. The button must be held."""
        content = self._ask("fittings")
        if not isinstance(content, bytes):
            raise FormatError("console.form", "no fittings")
        return content

    def fit(self, content: bytes) -> None:
        """Write its fittings; the lock starts again. The button must be held."""
        self._ask("fittings", content, repeat=False)

    def inputs(self) -> dict[str, bool]:
        """Of each input that is fitted: is it away from its rest? The button must be held."""
        return console.inputs(self._ask("inputs"))

    def act(self, what: str) -> None:
        """Let the lock show "signals", or move the "strike" for one pulse. The button must be held all the time."""
        self._ask(what, repeat=False)

    # --- the line ----------------------------------------------------------------------------------------------------

    def _ask(self, command: str, argument: Any = None, repeat: bool = True) -> Any:
        """The content of the answer. `repeat`: it does no harm if the lock hears this twice.

        Raises RefusedError with the lock's code; TransportError `board.silent`, `port.lost`; ConfigError
        `board.prompt` where a prompt answers; FormatError for what is no answer.
        """
        self._number += 1
        request = encode([self._number, command, argument])
        end = time.monotonic() + self._answer_seconds
        again = 0.0
        try:
            while (now := time.monotonic()) < end:
                if now >= again and (repeat or not again):
                    # A prompt takes this for a comment, a lock begins with what follows it.
                    self._write(b"#" + request)
                    again = time.monotonic() + _AGAIN_SECONDS
                for byte in self._line.read(self._line.in_waiting or 1):
                    line = self._assembler.push(byte)
                    if line is not None:
                        if line.rstrip(b"\r") == request[1:].rstrip(b"\n"):
                            raise ConfigError(
                                "board.prompt", f"{self._port} shows a prompt: no lock is in service there"
                            )
                        answered, content = self._answered(line)
                        if answered:
                            return content
        except OSError:
            raise TransportError("port.lost", f"the lock on {self._port} went away. Check cable and power") from None
        raise TransportError(
            "board.silent",
            f"no lock in service answers on {self._port}. Is it the right port? One that is not enrolled yet does not",
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
            return False, None  # noise; it is asked again
        if number != self._number:
            return False, None
        if code is not None:
            raise RefusedError(code, _REMEDIES.get(code, "the lock refuses"))
        return True, content


def is_in_service(port: str, seconds: float = GLANCE_SECONDS) -> bool:
    """Does a lock in service answer on `port`? Raises as `Cable`, and TransportError `port.lost`."""
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
        pass  # a lock, of another version than this
    return True
