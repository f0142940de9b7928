"""A rate limit for handshakes: a stranger in radio range could otherwise make the lock compute without end.

A handshake costs three multiplications of a point. Each handshake uses up one unit of the limit before anything is
computed. An edge that proves itself with a valid pass gets that unit back. Otherwise units return slowly. After a flood
of handshakes none is left, and then the lock only parses each OPEN and refuses it. All peers share one limit, because
anybody can use any address on the air. So a flood delays honest edges too, as a jammer would. The door does not wait
for the link, and no record is lost.
"""

from firmware.memory.rate_limit import RateLimit
from protocol import link_session
from protocol.errors import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.identity import Identity
    from protocol.crypto import Crypto

HANDSHAKES = 4
"""Handshakes allowed in a burst: edges reconnect after a power cut, or after a few lost connections."""
HANDSHAKE_MS = 20000
"""Time after which one more handshake is allowed. A failed one costs the chip about two seconds, so strangers get at
most a tenth of its time."""
STATEMENTS, STATEMENT_MS = 12, 3000
"""Statements allowed in a burst, which is more than a new lock needs; and the time after which one more is allowed."""


class Admission:
    """Starts the lock's side of handshakes, each with a new ephemeral key, within the rate limit."""

    def __init__(self, crypto: "Crypto", identity: "Identity") -> None:
        self._crypto = crypto
        self._identity = identity
        self._ephemeral: "tuple[bytes, bytes] | None" = None
        self._handshakes = RateLimit(HANDSHAKES, HANDSHAKE_MS)
        self._statements = RateLimit(STATEMENTS, STATEMENT_MS)

    def prepare(self) -> None:
        """Make the next ephemeral key, unless there is one. Call this while the door is idle."""
        if self._ephemeral is None:
            self._ephemeral = self._crypto.generate("P-256")

    def begin(self, message: bytes) -> link_session.Responder:
        """The lock's side of the handshake that the OPEN `message` begins. The caller passes `message` to it.

        Raises FormatError as `link_session.parse_open`, RefusedError `link.hurried` while the limit is used up.
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
        """The edge of the last handshake has proven itself. Its unit of the limit is returned."""
        self._handshakes.give_back()

    def takes_statement(self) -> bool:
        """Count a statement of an edge. False if it exceeds the limit."""
        if not self._statements.allows():
            return False
        self._statements.use()
        return True
