"""Fixed keys for the link tests, so that a test and its lock use the same keys. This module runs on both runtimes."""

from protocol import link_session, placement, statement
from protocol.edge_pass import KIND, EdgePass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

LOCK_PRIVATE = b"\x11" * 32
LINK_PRIVATE = b"\x12" * 32
PROVINCE_PRIVATE = b"\x13" * 32
EDGE_PRIVATE = b"\x14" * 32

NOW = 1800000000


class LinkKeys:
    """Key pairs (private, public). The lock has two pairs: `lock` is its identity and `link` is its link key."""

    def __init__(self, crypto: "Crypto") -> None:
        self.crypto = crypto
        self.lock, self.link, self.province, self.edge = [
            (private, crypto.public("P-256", private))
            for private in (LOCK_PRIVATE, LINK_PRIVATE, PROVINCE_PRIVATE, EDGE_PRIVATE)
        ]
        self.lock_id = placement.lock_id(crypto, self.lock[1])

    def proof(self) -> bytes:
        """Return the lock's proof that the link key belongs to the lock."""
        return link_session.prove(self.crypto, self.lock, self.link[1])

    def edge_pass(
        self,
        issued_at: int = NOW,
        not_after: int = NOW + 86400,
        edge: str = "edge-1",
        public: "bytes | None" = None,
        locks: "list[bytes] | None" = None,
        signer: "bytes | None" = None,
        parts: int = 1,
    ) -> bytes:
        """Return a pass for the edge's key and the lock, signed by the province.

        `public` replaces the edge's key, `locks` replaces the lock, and `signer` replaces the province's key.
        """
        body = EdgePass(issued_at, edge, public or self.edge[1], not_after, locks or [self.lock_id], parts).body()
        return statement.sign(self.crypto, signer or self.province[0], KIND, body)

    def passes(self, *lists: "list[bytes]", **members: "Any") -> bytes:
        """Return the province's passes, one for each list of locks. Without lists, return one pass for the lock.

        `members` are passed on to `edge_pass`.
        """
        from protocol import uplink  # imported only here, because no lock uses this module

        parts = len(lists)
        signed = [self.edge_pass(locks=listed, parts=parts, **members) for listed in lists]
        signed = signed or [self.edge_pass(**members)]
        return uplink.Passes(signed).encode()
