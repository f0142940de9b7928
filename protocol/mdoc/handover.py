"""Handover messages (NFC Forum Connection Handover 1.5, as ISO/IEC 18013-5 clause 8.2.2.1 uses them)."""

from protocol import const, ndef
from protocol.errors import FormatError
from protocol.mdoc.engagement import Ble, DeviceEngagement, Nfc, parse_device_engagement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEVICE_ENGAGEMENT = const(b"iso.org:18013:deviceengagement")
_READER_ENGAGEMENT = const(b"iso.org:18013:readerengagement")
_NFC = const(b"iso.org:18013:nfc")
_BLE_OOB = const(b"application/vnd.bluetooth.le.oob")

# Bluetooth Supplement to the Core Specification, part A: advertising data types in the OOB record.
_AD_UUID128_SOME = const(0x06)
_AD_UUID128_ALL = const(0x07)
_AD_ADDRESS = const(0x1B)
_AD_ROLE = const(0x1C)

READER_ENGAGEMENT = b"\xa1\x00\x631.0"
"""ReaderEngagement `{0: "1.0"}`."""


class Carrier:
    """An alternative carrier: power state, and the ids of its configuration record and auxiliary records."""

    def __init__(self, power: int, reference: bytes, auxiliary: "list[bytes]") -> None:
        self.power = power
        self.reference = reference
        self.auxiliary = auxiliary


class Handover:
    """A Handover Select with the engagement and carriers in it. `request` is our Handover Request (Hr), or None in
    static handover."""

    def __init__(
        self,
        select: bytes,
        request: "bytes | None",
        engagement: DeviceEngagement,
        nfc: "Nfc | None",
        ble: "Ble | None",
    ) -> None:
        self.select = select
        self.request = request
        self.engagement = engagement
        self.nfc = nfc
        self.ble = ble

    def item(self) -> "Any":
        """Return NFCHandover, `[Hs, Hr / null]`, for SessionTranscript."""
        return [self.select, self.request]


def parse_handover_select(message: bytes, request: "bytes | None" = None) -> Handover:
    """Parse the Handover Select `message`. In negotiated handover, `message` answers `request`.

    Unknown carriers, and records that no `ac` record names, are ignored. Raises FormatError: `ndef.*`, `engagement.*`
    or `handover.form` for a malformed message, `handover.version` for an unknown version, `handover.no_engagement`
    without a DeviceEngagement record.
    """
    records = ndef.parse(message)
    select = ndef.find(records, ndef.WELL_KNOWN, b"Hs")
    if select is None:
        raise FormatError("handover.form", "no Handover Select record")
    carriers = _carriers(select.payload)
    named = [name for carrier in carriers for name in carrier.auxiliary]
    engagement = ndef.find(records, ndef.EXTERNAL, _DEVICE_ENGAGEMENT, named)
    if engagement is None:
        raise FormatError("handover.no_engagement", "no DeviceEngagement record")
    device = parse_device_engagement(engagement.payload)
    nfc, ble = _offers(carriers, records, request)
    return Handover(message, request, device, nfc, ble)


def _offers(
    offered: "list[Carrier]", records: "list[ndef.Record]", request: "bytes | None"
) -> "tuple[Nfc | None, Ble | None]":
    """Read the configuration records that `ac` records offer, in their order.

    For each retrieval method, the first usable record counts. Records of other carriers or versions are ignored. A
    malformed record is an error only if no other record is usable.
    """
    nfc = ble = malformed = None
    for carrier in offered:
        for record in records:
            if record.id != carrier.reference:
                continue
            try:
                if nfc is None and ndef.is_of(record, ndef.EXTERNAL, _NFC):
                    nfc = _nfc(record.payload)
                elif ndef.is_of(record, ndef.MIME, _BLE_OOB):
                    ble = _joined(ble, _ble(record.payload, request))
            except FormatError as error:
                malformed = error
    if malformed is not None and nfc is None and ble is None:
        raise malformed
    return nfc, ble


def _joined(first: "Ble | None", later: "Ble | None") -> "Ble | None":
    """Join the offers of two BLE OOB records into one offer. A mode that has a UUID in the first record keeps this
    UUID.
    """
    if first is None or later is None:
        return first or later
    peripheral = first.peripheral_uuid is None
    return Ble(
        first.central or (first.central_uuid is None and later.central),
        first.peripheral or (peripheral and later.peripheral),
        first.central_uuid or later.central_uuid,
        first.peripheral_uuid or later.peripheral_uuid,
        first.address or (later.address if peripheral else None),
    )


def _form(why: str) -> FormatError:
    return FormatError("handover.form", why)


def _carriers(payload: bytes) -> "list[Carrier]":
    if not payload:
        raise _form("an empty Handover Select record")
    if payload[0] >> 4 != 1:
        raise FormatError("handover.version", "only Connection Handover 1.x is known")
    if len(payload) == 1:
        return []
    return [
        _carrier(record.payload) for record in ndef.parse(payload[1:]) if ndef.is_of(record, ndef.WELL_KNOWN, b"ac")
    ]


def _carrier(payload: bytes) -> Carrier:
    if len(payload) < 3:
        raise _form("an alternative carrier record is too short")
    reference, at = _counted(payload, 1)
    if at >= len(payload):
        raise _form("an alternative carrier record that is too short")
    count, at = payload[at], at + 1
    auxiliary = []
    for _ in range(count):
        name, at = _counted(payload, at)
        auxiliary.append(name)
    # Bytes after this are reserved for later versions of Connection Handover.
    return Carrier(payload[0] & 3, reference, auxiliary)


def _counted(payload: bytes, at: int) -> "tuple[bytes, int]":
    end = at + 1 + (payload[at] if at < len(payload) else len(payload))
    if end > len(payload):
        raise _form("a reference reaches beyond its record")
    return payload[at + 1 : end], end


def _fields(payload: bytes, at: int) -> "list[tuple[int, bytes]]":
    """Return (type, value) of each length-type-value field. The first field begins at offset `at`."""
    fields = []
    while at < len(payload):
        length = payload[at]
        if length == 0:
            break  # The data ends early here (Core Specification, vol. 3, part C, clause 11).
        if at + 1 + length > len(payload):
            raise _form("a field reaches beyond its record")
        fields.append((payload[at + 1], payload[at + 2 : at + 1 + length]))
        at += 1 + length
    return fields


def _nfc(payload: bytes) -> "Nfc | None":
    """Read the fields of version 1 (clause 8.2.2.2). Field 1 is the maximum number of data bytes in a command, and
    field 2 is the maximum in a response. For another version, return None, because its fields may mean anything.
    """
    if not payload:
        raise _form("an empty NFC carrier configuration")
    if payload[0] != 1:
        return None
    command, response = 0, 0
    for kind, value in _fields(payload, 1):
        if kind == 1:
            command = int.from_bytes(value, "big")
        elif kind == 2:
            response = int.from_bytes(value, "big")
    if not 1 <= command <= 0xFFFF or not 1 <= response <= 0x10000:
        raise _form("NFC carrier configuration without usable lengths")
    return Nfc(command, response)


def _oob(payload: bytes) -> "tuple[int | None, bytes | None, bytes | None]":
    """Return (LE role, UUID, address) of a BLE OOB record. UUID and address are big-endian here and little-endian in
    the record."""
    role = uuid = address = None
    for kind, value in _fields(payload, 0):
        if kind == _AD_ROLE and len(value) == 1:
            role = value[0]
        elif kind in (_AD_UUID128_ALL, _AD_UUID128_SOME) and len(value) == 16:
            uuid = bytes(reversed(value))
        elif kind == _AD_ADDRESS and len(value) == 7:
            address = bytes(reversed(value[:6]))
    return role, uuid, address


def _ble(payload: bytes, request: "bytes | None") -> "Ble | None":
    role, uuid, address = _oob(payload)
    if role is None or role > 3:
        return None
    if uuid is None and request is not None:
        # In negotiated handover, an mdoc that gives no UUID uses the UUID that our request offered.
        ours = ndef.find(ndef.parse(request), ndef.MIME, _BLE_OOB)
        uuid = _oob(ours.payload)[1] if ours is not None else None
    central, peripheral = role != 0, role != 1
    return Ble(central, peripheral, uuid if central else None, uuid if peripheral else None, address)


def handover_request(nfc: "Nfc | None", ble_role: "int | None" = None, ble_uuid: "bytes | None" = None) -> bytes:
    """Return a Handover Request that offers NFC retrieval. If a role is given (0 peripheral, 1 central, 2 or 3 both),
    the request offers BLE retrieval too.
    """
    carriers, records = [], []
    if ble_role is not None:
        carriers.append(ndef.Record(ndef.WELL_KNOWN, b"ac", b"", b"\x01\x010\x00"))
        oob = bytes((2, _AD_ROLE, ble_role))
        if ble_uuid is not None:
            oob += bytes((17, _AD_UUID128_ALL)) + bytes(reversed(ble_uuid))
        records.append(ndef.Record(ndef.MIME, _BLE_OOB, b"0", oob))
    if nfc is not None:
        carriers.append(ndef.Record(ndef.WELL_KNOWN, b"ac", b"", b"\x01\x03nfc\x00"))
        lengths = b"\x03\x01" + nfc.max_command.to_bytes(2, "big") + b"\x04\x02" + nfc.max_response.to_bytes(3, "big")
        records.append(ndef.Record(ndef.EXTERNAL, _NFC, b"nfc", b"\x01" + lengths))
    head = ndef.Record(ndef.WELL_KNOWN, b"Hr", b"", b"\x15" + ndef.encode(carriers))
    reader = ndef.Record(ndef.EXTERNAL, _READER_ENGAGEMENT, b"mdocreader", READER_ENGAGEMENT)
    return ndef.encode([head, reader] + records)
