"""NFC engagement (ISO/IEC 18013-5 clause 8.2.2), static or negotiated: the reader reads the mdoc's Type 4 Tag. Sans-IO.

`NfcEngagement.start()` returns the first command. Each call of `push(response)` returns the next command. The last call
returns None and sets `handover`. The caller waits `wait_ms` before it sends a command.
"""

from protocol import apdu, const, ndef
from protocol.errors import FormatError, TransportError
from protocol.mdoc.handover import Handover, parse_handover_select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    Steps = Generator[tuple[bytes, int], bytes, Handover]

NDEF_APPLICATION = b"\xd2\x76\x00\x00\x85\x01\x01"
_CAPABILITY_CONTAINER = const(b"\xe1\x03")
_CC_LENGTH = const(15)
_RESERVED_FILES = (b"\x00\x00", b"\xe1\x02", b"\xe1\x03", b"\x3f\x00", b"\x3f\xff", b"\xff\xff")

MAX_POLLS = 20
"""Maximum number of times that an empty NDEF file (NLEN 0) is read. Wallets fill the file while their user interface
opens."""
POLL_MS = 25

_HANDOVER_SERVICE = const(b"urn:nfc:sn:handover")
_SERVICE_SELECT = ndef.encode([ndef.Record(ndef.WELL_KNOWN, b"Ts", b"", b"\x13" + _HANDOVER_SERVICE)])
_MAX_WAIT_MS = const(1000)
_NLEN = const(2)
"""Length in bytes of NLEN, the field at the start of an NDEF file."""


class CapabilityContainer:
    """A CC file: `max_read` (MLe), `max_write` (MLc), `file_id` and `file_size` of the NDEF file."""

    def __init__(self, max_read: int, max_write: int, file_id: bytes, file_size: int) -> None:
        self.max_read = max_read
        self.max_write = max_write
        self.file_id = file_id
        self.file_size = file_size


def parse_capability_container(raw: bytes) -> CapabilityContainer:
    """Parse the first 15 bytes of the CC file (Type 4 Tag specification, mapping versions 2 and 3).

    Raises FormatError `nfc.capability_container`.
    """
    max_read = int.from_bytes(raw[3:5], "big")
    max_write = int.from_bytes(raw[5:7], "big")
    if len(raw) < _CC_LENGTH or raw[0] << 8 | raw[1] < _CC_LENGTH or raw[2] >> 4 not in (2, 3):
        raise _bad_container()
    if raw[7] != 4 or raw[8] != 6 or raw[9:11] in _RESERVED_FILES or raw[13] != 0:
        raise _bad_container()
    if max_read < _CC_LENGTH or max_write < 1:
        raise _bad_container()
    return CapabilityContainer(max_read, max_write, bytes(raw[9:11]), raw[11] << 8 | raw[12])


def _bad_container() -> FormatError:
    return FormatError("nfc.capability_container", "not a capability container that we can use")


class NfcEngagement:
    """The exchange that ends in a `Handover`. `request` is our Handover Request, for mdocs that negotiate.

    `start` and `push` raise FormatError and TransportError: `nfc.not_mdoc` (no NDEF application, so this is another
    kind of card), `nfc.negotiated` (we have no request to negotiate with), `nfc.empty` (the NDEF file stayed empty),
    `apdu.status`, and the errors of `parse_handover_select`.
    """

    def __init__(self, request: "bytes | None" = None) -> None:
        self._request = request
        self._steps = self._run()
        self.wait_ms = 0
        """Milliseconds to wait before sending the command that was returned last."""
        self.handover: Handover | None = None

    def start(self) -> bytes:
        """Return the first command."""
        command, self.wait_ms = next(self._steps)
        return command

    def push(self, response: bytes) -> "bytes | None":
        """Take the response to the last command. Returns the next command, or None as soon as `handover` is set."""
        try:
            command, self.wait_ms = self._steps.send(response)
        except StopIteration as end:
            self.handover = end.value
            return None
        return command

    def _run(self) -> "Steps":
        selected = yield apdu.command(0, apdu.SELECT, 4, 0, NDEF_APPLICATION, 256), 0
        if apdu.parse_response(selected).status != apdu.OK:
            raise TransportError("nfc.not_mdoc", "the card has no NDEF application")
        apdu.expect_ok((yield _select_file(_CAPABILITY_CONTAINER)))
        container = parse_capability_container(apdu.expect_ok((yield _read(0, _CC_LENGTH))))
        apdu.expect_ok((yield _select_file(container.file_id)))
        message = yield from _read_message(container, 0)
        services = [each.payload for each in ndef.parse(message) if ndef.is_of(each, ndef.WELL_KNOWN, b"Tp")]
        if not services:
            return parse_handover_select(message)
        return (yield from self._negotiate(container, services))

    def _negotiate(self, container: CapabilityContainer, services: "list[bytes]") -> "Steps":
        """Do the Tag NDEF Exchange Protocol: select the handover service, write Hr, read Hs (clause 8.2.2.1)."""
        wait_ms = _wait_ms(services)
        if self._request is None:
            raise TransportError("nfc.negotiated", "the mdoc wants negotiated handover, which this door does not offer")
        yield from _write(container, _SERVICE_SELECT)
        status = ndef.find(ndef.parse((yield from _read_message(container, wait_ms))), ndef.WELL_KNOWN, b"Te")
        if status is None or status.payload != b"\x00":
            raise TransportError("nfc.service", "the mdoc refused the handover service")
        yield from _write(container, self._request)
        message = yield from _read_message(container, wait_ms)
        return parse_handover_select(message, self._request)


def _select_file(file_id: bytes) -> "tuple[bytes, int]":
    return apdu.command(0, apdu.SELECT, 0, 0x0C, file_id), 0


def _read(offset: int, length: int, wait_ms: int = 0) -> "tuple[bytes, int]":
    return apdu.command(0, apdu.READ_BINARY, offset >> 8, offset & 0xFF, le=length), wait_ms


def _write(container: CapabilityContainer, message: bytes) -> "Generator[tuple[bytes, int], bytes, None]":
    """Write `message` to the selected file, in one command if it fits into MLc and into 255 bytes.

    Otherwise the order is that of the Type 4 Tag specification: first NLEN 0, so that nobody reads half a message, then
    the pieces, then NLEN.
    """
    size = min(container.max_write, apdu.SHORT_DATA)
    length = len(message).to_bytes(_NLEN, "big")
    if len(message) + _NLEN > container.file_size or size < _NLEN:
        raise FormatError("nfc.capability_container", "the message is longer than the mdoc takes")
    if len(message) + _NLEN <= size:
        apdu.expect_ok((yield _update(0, length + message)))
        return
    apdu.expect_ok((yield _update(0, bytes(_NLEN))))
    for at in range(0, len(message), size):
        apdu.expect_ok((yield _update(_NLEN + at, message[at : at + size])))
    apdu.expect_ok((yield _update(0, length)))


def _update(offset: int, data: bytes) -> "tuple[bytes, int]":
    return apdu.command(0, apdu.UPDATE_BINARY, offset >> 8, offset & 0xFF, data), 0


def _read_message(container: CapabilityContainer, wait_ms: int) -> "Generator[tuple[bytes, int], bytes, bytes]":
    """Read the NDEF message in the selected file. The caller waits `wait_ms` before the first read."""
    length = 0
    for poll in range(MAX_POLLS):
        found = apdu.expect_ok((yield _read(0, 2, max(POLL_MS, wait_ms) if poll else wait_ms)))
        if len(found) < 2:
            raise FormatError("nfc.tag", "NLEN cut short")
        length = found[0] << 8 | found[1]
        if length:
            break
    if length == 0:
        raise TransportError("nfc.empty", "the NDEF file stayed empty")
    if length > min(container.file_size - 2, ndef.MAX_MESSAGE):
        raise FormatError("nfc.tag", "NLEN beyond the file, or beyond what we accept")
    message = bytearray()
    while len(message) < length:
        size = min(length - len(message), container.max_read, apdu.SHORT_DATA)
        piece = apdu.expect_ok((yield _read(2 + len(message), size)))
        if not piece:
            raise TransportError("nfc.tag", "the file ends before NLEN says")
        message.extend(piece[: length - len(message)])  # A tag that ignores Le sends more of the same file.
    return bytes(message)


def _wait_ms(services: "list[bytes]") -> int:
    """Return the minimum waiting time that the handover service asks for: 2^(WT/4 - 1) ms, rounded up and bounded.

    Each of `services` is the payload of a service parameter record: version, URI length, URI, mode, WT, nWait, maximum
    message size (2). A tag may offer other services beside the service that we want.
    """
    for service in services:
        end = 2 + (service[1] if len(service) > 1 else 0)
        if service[2:end] == _HANDOVER_SERVICE:
            if len(service) < end + 5 or service[0] >> 4 != 1:
                raise FormatError("nfc.service", "a service parameter record that we cannot read")
            return min(int(2 ** (service[end + 1] / 4 - 1)) + 1, _MAX_WAIT_MS)
    raise TransportError("nfc.service", "the mdoc offers no handover service")
