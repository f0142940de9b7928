"""The maintenance console: what a laptop on a lock's USB cable can ask (console.cddl). The laptop's side is in
`console_cpython`.

Requests and answers are lines of text between the lines of the log. These lines hold no control characters, so a
terminal can show them. Such a line begins with a mark. The rest is base64 of three parts: the length of a message, the
message, and a CRC-32. There are a few fixed commands. No request can run code.
"""

from binascii import a2b_base64, b2a_base64, crc32

from protocol import cbor, const, statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DOWN_LIMIT = 1024
"""Maximum size of a message to a lock, in bytes."""

_MARK = const(0x7E)
_END = const(0x0A)


class Assembler:
    """Finds the console's lines in the incoming bytes. The assembler keeps one line at a time, for a message of at most
    `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._longest = (limit + 8) // 3 * 4 + 1
        self._line: bytearray | None = None

    def push(self, byte: int) -> "bytes | None":
        """Take the next byte. If the byte completes a line, return the line for `decode`. Other lines are skipped."""
        line = self._line
        if byte == _MARK:
            self._line = bytearray()
        elif line is not None:
            if byte == _END:
                self._line = None
                return bytes(line)
            if len(line) < self._longest:
                line.append(byte)
            else:
                self._line = None
        return None


def encode(message: "list[Any]") -> bytes:
    """Return the line that carries `message`, with its line end."""
    content = cbor.encode(message)
    content = len(content).to_bytes(2, "big") + content
    return b"~" + b2a_base64(content + crc32(content).to_bytes(4, "big"))


def decode(line: bytes) -> "list[Any]":
    """Return the message in a line that `Assembler` found. A message has three items, and the first item is a number.
    Raises FormatError `console.frame` for a garbled line, `cbor.*` for malformed CBOR, `console.form` for any other
    content."""
    line = line.rstrip(b"\r")
    try:
        content = a2b_base64(line)
    except ValueError:  # binascii.Error is one
        content = b""
    # A base64 decoder skips characters outside its alphabet, so the decoded bytes are encoded again and compared.
    if len(content) < 6 or b2a_base64(content)[:-1] != line:
        raise FormatError("console.frame", "not base64")
    check = int.from_bytes(content[-4:], "big")
    if int.from_bytes(content[:2], "big") != len(content) - 6 or check != crc32(content[:-4]):
        raise FormatError("console.frame", "of the wrong length, or garbled")
    item = cbor.decode_deterministic(content[2:-4])
    if not isinstance(item, list) or len(item) != 3 or not statement.is_uint(item[0]):
        raise FormatError("console.form", "neither a request nor an answer")
    return item


def request(line: bytes) -> "tuple[int, str, Any]":
    """Return (number, command, argument) of a request. Raises FormatError as `decode`."""
    number, command, argument = decode(line)
    if command == "export":
        good = statement.is_positive(argument)
    elif command == "fittings":
        good = argument is None or isinstance(argument, bytes)
    else:
        good = command in ("status", "log", "inputs", "signals", "strike") and argument is None
    if not good:
        raise FormatError("console.form", "not a command, or not an argument that it takes")
    return number, command, argument
