"""Which edge agents the province lets talk to locks: the passes it signs for them.

An edge is admitted by name. The first key that asks under that name is bound to it, since the broker lets only the edge
itself use its topics; another key gets nothing until the edge is admitted anew, as when a Pi has been replaced.
"""

import logging
from collections.abc import Callable

from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.edge_pass import KIND, MAX_LOCKS, EdgePass
from protocol.errors import ConfigError
from sim.province.keys import Keys
from sim.province.store import Store

PASS_SECONDS = 30 * 86400
"""Life of a pass: how long a stolen Pi can serve doors that its replacement never visits."""
RENEW_SECONDS = PASS_SECONDS // 2
"""A pass this close to its end is replaced; an edge may be without a network for as long."""

_log = logging.getLogger("mooring.province")


class Edges:
    """Admits edges and answers their requests, over one store."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def admit(self, edge: str, locks: list[bytes] | None = None) -> None:
        """Let `edge` serve `locks` (lock ids; None: all in its reach), with the next key that asks for a pass.

        Raises ConfigError `edge.name` or `edge.locks`.
        """
        if not uplink.is_edge_name(edge):
            raise ConfigError("edge.name", "an edge's name is 1 to 32 of a-z, 0-9 and hyphen")
        if locks is not None and not (0 < len(locks) <= MAX_LOCKS and all(len(lock_id) == 16 for lock_id in locks)):
            raise ConfigError("edge.locks", f"a pass lists 1 to {MAX_LOCKS} lock ids of 16 bytes, or none")
        with self._store.transaction():
            self._store.put_edge(edge, None, locks)

    def answer(self, edge: str, request: uplink.PassRequest) -> bytes | None:
        """The pass to send for a request, or None: not admitted, bound to another key, or what it has is good."""
        with self._store.transaction():
            admitted = self._store.edge(edge)
            if admitted is None:
                _log.warning("edge %s asks for a pass and is not admitted", edge)
                return None
            public, locks = admitted
            if public is None:
                self._store.put_edge(edge, request.edge_public, locks)
            elif public != request.edge_public:
                _log.warning("edge %s asks for a pass with another key; admit it anew if that is right", edge)
                return None
            current = self._current(edge, request.edge_public, locks)
            return current[1] if current[0] > request.issued_at else None

    def _current(self, edge: str, public: bytes, locks: list[bytes] | None) -> tuple[int, bytes]:
        """Time of issue and statement of the pass in force; a new one when that nears its end or is not as wanted."""
        now = int(self._clock())
        held = self._store.statement(KIND, edge)
        if held is not None:
            form = EdgePass.parse(statement.open(crypto, held[1], KIND, self._keys.signing_public))
            if form.edge_public == public and form.locks == locks and form.not_after - now > RENEW_SECONDS:
                return held
            # The later one counts, also for two in one second.
            now = max(now, form.issued_at + 1)
        signed = statement.sign(
            crypto, self._keys.signing_private, KIND, EdgePass(now, edge, public, now + PASS_SECONDS, locks).body()
        )
        self._store.put_statement(KIND, edge, now, signed)
        return now, signed
