"""BLE retrieval from an mdoc (ISO/IEC 18013-5 clause 8.3.3.1.1), in both modes, over the `Radio` shared with the edge.

    begin ─▶ ready ─▶ exchange ─▶ farewell ─▶ close

Of two phones at once the first to write State = 01 is served; another one is sent away, and the first does not notice.
A connection lost before State = 01 is no harm: the same phone may come again until `CONNECT_MS` are over. Lost after
it, the session's keys are in use: the read fails, and only a new tap, with new keys, can follow. A second tap, of the
same phone or another, takes the session's place before State = 01, and neither disturbs it nor is served after it
(`firmware.door.reader_task`). The edge link goes on all the while (`firmware.hardware.radio`).

Handlers of the radio's events only take notes. What a phone can make them keep is one message being put together and
one that is complete, each bounded.
"""

from firmware.mdoc_ble.client import ClientSession
from firmware.mdoc_ble.server import ServerSession
from firmware.mdoc_ble.session import Session
from protocol.errors import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.hardware.radio import Radio
    from protocol.mdoc.engagement import Ble


class MdocBle:
    """Makes sessions on `radio`, one at a time."""

    def __init__(self, radio: "Radio") -> None:
        self._radio = radio
        self._current: Session | None = None

    def session(self, offer: "Ble", ident: bytes, longest: int) -> "Session":
        """A session with the mdoc that made `offer` in its handover; its messages are at most `longest` bytes.

        The mdoc as central is preferred when it offers both: that is what every wallet known to us implements, and
        the lock need not scan. Raises RefusedError `reader.no_carrier` when the offer cannot be taken.
        """
        if self._current is not None:
            self._current.finish()  # the last one may be lingering
        if offer.central and offer.central_uuid is not None:
            self._current = ServerSession(self._radio, offer.central_uuid, longest, ident)
        elif offer.peripheral and offer.peripheral_uuid is not None:
            self._current = ClientSession(self._radio, offer.peripheral_uuid, longest)
        else:
            raise RefusedError("reader.no_carrier", "the mdoc offers BLE without saying how to find it")
        return self._current
