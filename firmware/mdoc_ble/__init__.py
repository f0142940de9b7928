"""BLE retrieval from an mdoc (ISO/IEC 18013-5 clause 8.3.3.1.1), in both modes, over the shared `Radio`.

    begin ─▶ ready ─▶ exchange ─▶ farewell ─▶ close

| state of a session | event | next state |
| --- | --- | --- |
| new | `begin` | WAITING: the lock advertises, or scans |
| WAITING | State = 01 is written | STARTED (`started`); this phone's connection is the session's |
| WAITING | the connection is lost | WAITING: the phone may connect again; a client connects `ATTEMPTS` times |
| WAITING | `CONNECT_MS` are over | `ready` raises `ble.no_phone` |
| WAITING, STARTED | another phone writes | the same; the other phone is disconnected |
| STARTED | a complete message | STARTED; `exchange` returns it |
| STARTED | the connection is lost, a part is wrong, or a message is unexpected | OVER: `_over` has the error |
| STARTED | State = 02 from the phone | OVER: the holder has declined |
| STARTED | `farewell` | SILENT (`_silent`): nothing that the phone sends counts any longer |
| SILENT | `close` | the session lingers until the phone disconnects, `LINGER_MS` at most; then FINISHED |
| any other | `close` | FINISHED (`_finished`): the radio is returned |

After State = 01, the session's keys are in use. If the connection is lost then, the session cannot be resumed, and the
guest must tap again. A second tap before State = 01 replaces the session. A second tap after State = 01 is not served,
and does not disturb the session (`firmware.door.reader_task`). The edge link continues during a session
(`firmware.hardware.radio`).

The handlers of the radio's events only store what happened. For a phone, the handlers store at most one message that is
being assembled and one complete message, each of limited length.
"""

from firmware.mdoc_ble.client import ClientSession
from firmware.mdoc_ble.server import ServerSession
from firmware.mdoc_ble.session import Session
from protocol.errors import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.hardware.radio import Radio
    from protocol.mdoc.engagement import Ble
    from protocol.parts import Room


class MdocBle:
    """Creates sessions on `radio`, one at a time."""

    def __init__(self, radio: "Radio") -> None:
        self._radio = radio
        self._current: Session | None = None

    def session(self, offer: "Ble", ident: bytes, longest: int, room: "Room") -> "Session":
        """Create a session with the mdoc that made `offer` in its handover. The mdoc's messages may have at most
        `longest` bytes, and are put together in `room`.

        If the mdoc offers both roles, it becomes the central. All wallets known to us implement this role, and the lock
        then need not scan. Raises RefusedError `reader.no_carrier` if the offer lacks the necessary UUID.
        """
        if self._current is not None:
            self._current.finish()  # the previous session may still be waiting for its phone to disconnect
        if offer.central and offer.central_uuid is not None:
            self._current = ServerSession(self._radio, offer.central_uuid, longest, room, ident)
        elif offer.peripheral and offer.peripheral_uuid is not None:
            self._current = ClientSession(self._radio, offer.peripheral_uuid, longest, room)
        else:
            raise RefusedError("reader.no_carrier", "the mdoc offers BLE without a service UUID")
        return self._current
