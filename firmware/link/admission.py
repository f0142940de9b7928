"""What a stranger in radio range may cost the lock: a handshake multiplies three times, so there is a purse to draw on.

Each handshake draws one coin before anything is computed, and gives it back once the edge has proven itself with a
good pass. Coins grow slowly; a flood empties the purse, and from then on each OPEN costs a look at its form. The purse
is one for all, because an address on the air means nothing: a flood keeps honest edges waiting too, as would a jammer.
The door does not wait for either, and records keep.
"""

from firmware.memory.rate_limit import Purse
from protocol import link_session
from protocol.errors import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.identity import Identity
    from protocol.crypto import Crypto

PURSE = 4
"""Handshakes at once, for edges that come back after a power cut or lose a few connections in a row."""
COIN_MS = 20000
"""A failed handshake costs the chip about two seconds in all, so strangers get a tenth of its time at most."""
STATEMENTS, STATEMENT_MS = 12, 3000
"""Statements that edges may bring at once, more than a new lock needs, and the time in which they may bring another."""


class Admission:
    """Hands out one side of a handshake at a time, each with a fresh ephemeral key."""

    def __init__(self, crypto: "Crypto", identity: "Identity") -> None:
        self._crypto = crypto
        self._identity = identity
        self._ephemeral: "tuple[bytes, bytes] | None" = None
        self._purse = Purse(PURSE, COIN_MS)
        self._statements = Purse(STATEMENTS, STATEMENT_MS)

    def prepare(self) -> None:
        """Make the next ephemeral key, if there is none; for when the door is idle."""
        if self._ephemeral is None:
            self._ephemeral = self._crypto.generate("P-256")

    def begin(self, message: bytes) -> link_session.Responder:
        """The lock's side for an edge that has sent the OPEN `message`, which is not taken yet.

        Raises FormatError as `link_session.parse_open`, RefusedError `link.hurried` while the purse is empty.
        """
        link_session.parse_open(message)
        if not self._purse.holds():
            raise RefusedError("link.hurried", "too many handshakes came to nothing; later")
        self._purse.draw()
        self.prepare()
        ephemeral, self._ephemeral = self._ephemeral, None
        assert ephemeral is not None
        identity = self._identity
        return link_session.Responder(self._crypto, identity.link, identity.link_proof, ephemeral)

    def proven(self) -> None:
        """The edge that drew the last coin has proven itself: the coin goes back."""
        self._purse.put_back()

    def takes_statement(self) -> bool:
        """An edge has brought a statement. False if it was one of too many."""
        if not self._statements.holds():
            return False
        self._statements.draw()
        return True
