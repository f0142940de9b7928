"""The phone's applications for ISO-DEP: a Type 4 Tag with one NDEF file, the mdoc application and the stay-key app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sim.phone import stay_key
from sim.phone.stay_key import StayKeys

NDEF_APPLICATION = bytes.fromhex("d2760000850101")
MDOC_APPLICATION = bytes.fromhex("a0000002480400")

_OK = b"\x90\x00"
_WRONG_LENGTH = b"\x67\x00"
_CONDITIONS = b"\x69\x85"
_WRONG_DATA = b"\x6a\x80"
_NOT_FOUND = b"\x6a\x82"
_WRONG_OFFSET = b"\x6b\x00"
_UNKNOWN_INS = b"\x6d\x00"
_UNKNOWN_CLA = b"\x6e\x00"


Wallet = Literal[
    "open",  # Answers each request with the documents that it has, even with none, and waits for the next request.
    "closes",  # Answers as "open" does, but ends the session with its first answer.
    "throws",  # Ends the session without an answer if it does not have every document type in the request.
    "silent",  # Stops answering if it does not have every document type in the request.
]
"""How a wallet behaves if it lacks something that the reader requests."""


@dataclass(frozen=True)
class Habits:
    """How this phone behaves on the air. The defaults describe a good modern phone.

    `max_read` and `max_write` are MLe and MLc of the phone's capability container. `max_command` and `max_response` are
    the lengths that the phone offers for NFC retrieval. `chunk` is the maximum number of data bytes in one response, or
    None for as many as Le allows. With `ignore_le`, the phone sends `chunk` bytes and ignores Le. `empty_polls` is how
    often a reader finds the phone's NDEF file empty before the file has content. With `hangs_up`, the phone answers no
    further command after the reader has ended the session.
    """

    max_read: int = 0x7FFF
    max_write: int = 0x7FFF
    max_command: int = 0xFFFF
    max_response: int = 0x10000
    chunk: int | None = None
    ignore_le: bool = False
    empty_polls: int = 0
    wallet: Wallet = "open"
    hangs_up: bool = False


@dataclass(frozen=True)
class _Command:
    chained: bool
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int


class Applet:
    """Takes command APDUs and returns response APDUs.

    `on_message` takes each session message and may return an answer. `on_ndef` is for a phone that negotiates. The
    function `on_ndef` takes each NDEF message that the reader writes, and returns the message that the reader reads
    next. Without `on_ndef` the file cannot be written. `engaged` becomes true when the reader has read `last_message`.
    Without `last_message`, `engaged` becomes true when the reader has read anything. `stay_keys` are the keys in the
    stay-key app, or None without this app.
    """

    def __init__(
        self,
        ndef_message: bytes,
        on_message: Callable[[bytes], bytes | None],
        habits: Habits,
        on_ndef: Callable[[bytes], bytes | None] | None = None,
        last_message: bytes | None = None,
        stay_keys: StayKeys | None = None,
    ) -> None:
        size = len(ndef_message).to_bytes(2, "big")
        self._on_ndef = on_ndef
        self._last_message = last_message
        self._stay_keys = stay_keys
        self._written = bytearray()
        self._habits = habits
        self._files = {
            b"\xe1\x03": bytes.fromhex("000f20")
            + habits.max_read.to_bytes(2, "big")
            + habits.max_write.to_bytes(2, "big")
            + bytes.fromhex("0406e1047fff00ff"),
            b"\xe1\x04": size + ndef_message,
        }
        self._on_message = on_message
        self._application: bytes | None = None
        self._file: bytes | None = None
        self._polls = 0
        self._incoming = bytearray()
        self._outgoing = b""
        self.engaged = False

    def process(self, raw: bytes) -> bytes:
        """Process one command, and return the response."""
        command = _parse(raw)
        if command is None:
            return _WRONG_LENGTH
        if raw[0] not in (0x00, 0x10):
            return _UNKNOWN_CLA
        if command.ins == 0xA4:
            return self._select(command)
        if command.ins == 0xB0 and self._application == NDEF_APPLICATION:
            return self._read_binary(command)
        if command.ins == 0xD6 and self._application == NDEF_APPLICATION and self._on_ndef is not None:
            return self._update_binary(command, self._on_ndef)
        if command.ins == 0xC3 and self._application == MDOC_APPLICATION:
            return self._envelope(command)
        if command.ins == 0x82 and self._application == stay_key.APPLICATION and self._stay_keys is not None:
            proof = self._stay_keys.authenticate(command.data)
            return _WRONG_DATA if proof is None else proof + _OK
        if command.ins == 0xC0 and self._application == MDOC_APPLICATION:
            return self._more(command.le) if self._outgoing else _CONDITIONS
        return _UNKNOWN_INS

    def _select(self, command: _Command) -> bytes:
        if command.p1 == 4 and command.data == stay_key.APPLICATION:
            challenge = None if self._stay_keys is None else self._stay_keys.select()
            if challenge is None:
                return _NOT_FOUND
            self._application, self._file = command.data, None
            return challenge + _OK
        if command.p1 == 4:
            if command.data not in (NDEF_APPLICATION, MDOC_APPLICATION):
                return _NOT_FOUND
            self._application, self._file = command.data, None
            return _OK
        if self._application != NDEF_APPLICATION or command.data not in self._files:
            return _NOT_FOUND
        self._file = command.data
        return _OK

    def _read_binary(self, command: _Command) -> bytes:
        if self._file is None:
            return _CONDITIONS
        content = self._files[self._file]
        offset = command.p1 << 8 | command.p2
        if self._file == b"\xe1\x04" and self._polls < self._habits.empty_polls:
            self._polls += 1
            content = b"\x00\x00"
        if command.le > self._habits.max_read:
            return _WRONG_LENGTH
        if offset >= len(content):
            return _WRONG_OFFSET
        end = len(content) if self._habits.ignore_le else offset + command.le
        if self._file == b"\xe1\x04" and offset > 0:
            self.engaged = self.engaged or self._last_message in (None, content[2:])
        return content[offset:end] + _OK

    def _update_binary(self, command: _Command, on_ndef: Callable[[bytes], bytes | None]) -> bytes:
        """Take one write command, and return the response.

        A reader writes the file in one command, or it writes NLEN 0, then the content, then NLEN (Type 4 Tag, 4.5).
        """
        if self._file != b"\xe1\x04":
            return _CONDITIONS
        if len(command.data) > self._habits.max_write:
            return _WRONG_LENGTH
        offset = command.p1 << 8 | command.p2
        end = offset + len(command.data)
        if end > 0x7FFF:
            return _WRONG_OFFSET
        self._written.extend(bytes(max(0, end - len(self._written))))
        self._written[offset:end] = command.data
        size = int.from_bytes(self._written[:2], "big")
        if size and offset == 0 and len(self._written) >= size + 2:
            answer = on_ndef(bytes(self._written[2 : size + 2]))
            self._written = bytearray()
            if answer is None:
                return _WRONG_DATA
            self._files[b"\xe1\x04"] = len(answer).to_bytes(2, "big") + answer
        return _OK

    def _envelope(self, command: _Command) -> bytes:
        if len(command.data) > self._habits.max_command:
            return _WRONG_LENGTH
        self._incoming += command.data
        if command.chained:
            return _OK
        message, self._incoming = bytes(self._incoming), bytearray()
        inner = _unwrap(message)
        if inner is None:
            return _WRONG_DATA
        answer = self._on_message(inner)
        if answer is None:
            return _OK
        self._outgoing = _wrap(answer)
        return self._more(command.le)

    def _more(self, le: int) -> bytes:
        size = min(le, self._habits.max_response)
        if self._habits.chunk is not None:
            size = self._habits.chunk if self._habits.ignore_le else min(size, self._habits.chunk)
        piece, self._outgoing = self._outgoing[:size], self._outgoing[size:]
        left = len(self._outgoing)
        return piece + (bytes((0x61, left if left < 256 else 0)) if left else _OK)


def _parse(raw: bytes) -> _Command | None:
    """Return the command in `raw`, or None if its lengths do not add up.

    Short and extended commands of cases 1 to 4 are read (ISO/IEC 7816-4, clause 5.2).
    """
    if len(raw) < 4:
        return None
    body = raw[4:]
    data, le = b"", 0
    if len(body) == 1:
        le = body[0] or 256
    elif len(body) == 3 and body[0] == 0:
        le = int.from_bytes(body[1:], "big") or 65536
    elif body:
        wide = body[0] == 0
        start = 3 if wide else 1
        size = int.from_bytes(body[1:3], "big") if wide else body[0]
        data, rest = body[start : start + size], body[start + size :]
        if len(data) != size or len(rest) not in (0, 2 if wide else 1):
            return None
        if rest:
            le = int.from_bytes(rest, "big") or (65536 if wide else 256)
    return _Command(raw[0] == 0x10, raw[1], raw[2], raw[3], data, le)


def _unwrap(message: bytes) -> bytes | None:
    if len(message) < 2 or message[0] != 0x53:
        return None
    width = max(0, message[1] - 0x80)
    size = int.from_bytes(message[2 : 2 + width], "big") if width else message[1]
    content = message[2 + width :]
    return content if len(content) == size else None


def _wrap(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((0x53, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x53, 0x80 + len(octets))) + octets + content
