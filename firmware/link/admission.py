"""A rate limit for handshakes. Without this limit, a stranger in radio range could make the lock compute without end.

A handshake costs three multiplications of a point. Each handshake uses up one unit of the limit before anything is
computed. If the edge proves itself with a valid pass, the unit of this handshake is returned at once. All other units
return slowly. After a flood of handshakes, all units are used up. Then the lock only parses each OPEN and refuses it.
All peers share one limit, because anybody can use any address on the air. So a flood delays honest edges too, as a
jammer would. But the door does not wait for the link, and no record is lost.
"""

from firmware.memory.rate_limit import RateLimit
from protocol import link_session
from protocol.errors import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.identity import Identity
    from protocol.crypto import Crypto

HANDSHAKES = 4
"""Number of handshakes allowed in a burst. Edges reconnect after a power cut, or after a few lost connections."""
HANDSHAKE_MS = 20000
"""Time after which one more handshake is allowed. A failed handshake costs the chip about two seconds, so strangers can
use at most a tenth of the chip's time."""
STATEMENTS, STATEMENT_MS = 12, 3000
"""Number of statements allowed in a burst, and the time after which one more statement is allowed. A new lock needs
fewer statements than one burst."""


class Admission:
    """Starts the lock's side of handshakes, within the rate limit. Each handshake has a new ephemeral key."""

    def __init__(self, crypto: "Crypto", identity: "Identity") -> None:
        self._crypto = crypto
        self._identity = identity
        self._ephemeral: "tuple[bytes, bytes] | None" = None
        self._handshakes = RateLimit(HANDSHAKES, HANDSHAKE_MS)
        self._statements = RateLimit(STATEMENTS, STATEMENT_MS)

    def prepare(self) -> None:
        """Generate the next ephemeral key, unless it exists already. Call this while the door is idle."""
        if self._ephemeral is None:
            self._ephemeral = self._crypto.generate("P-256")

    def begin(self, message: bytes) -> link_session.Responder:
        """Start the handshake for the OPEN `message`, and return the lock's side. The caller must then pass `message`
        to the returned object.

        Raises FormatError as `link_session.parse_open` does, and RefusedError `link.hurried` while no unit of the limit
        is left.
        """
        link_session.parse_open(message)
        if not self._handshakes.allows():
            raise RefusedError("link.hurried", "too many handshakes have failed; try again later")
        self._handshakes.use()
        self.prepare()
        ephemeral, self._ephemeral = self._ephemeral, None
        assert ephemeral is not None
        identity = self._identity
        return link_session.Responder(self._crypto, identity.link, identity.link_proof, ephemeral)

    def proven(self) -> None:
        """Give back the unit of the limit that the latest handshake used, because the edge has proven who it is."""
        self._handshakes.give_back()

    def takes_statement(self) -> bool:
        """Count one statement from an edge. Return False if this statement exceeds the limit."""
        if not self._statements.allows():
            return False
        self._statements.use()
        return True
