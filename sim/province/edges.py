"""The passes of edge agents. An edge agent may talk only to the locks in its pass from the province.

An edge is admitted by name. The first key that asks for a pass under this name is bound to the name. Binding the first
key is safe, because the broker lets only the edge itself use the edge's topics. Another key gets no pass until the edge
is admitted again, for example after the Pi was replaced.

A pass lists at most 64 locks. An edge with more locks has several passes. These passes are made and sent together.
"""

import logging
from collections.abc import Callable

from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.edge_pass import KIND, MAX_LOCKS, EdgePass
from protocol.errors import ConfigError
from sim.province.keys import Keys
from sim.province.store import Store

PASS_SECONDS = 7 * 86400
"""Lifetime of a pass. While a pass is valid, a revoked Pi can still talk to the locks in its reach.

An edge without a network for longer than this loses its locks until the network is back. Nothing is lost meanwhile: the
locks keep their records, and the first thing that the edge does with a network is to ask for a pass.
"""
RENEW_SECONDS = 6 * 86400
"""A pass is replaced when fewer seconds than this remain, so once a day. An edge that was online has this time."""

MOST_LOCKS = uplink.MAX_PASSES * MAX_LOCKS
"""Maximum number of locks that one edge can serve."""

_log = logging.getLogger("mooring.province")


class Edges:
    """Admits edges and answers their requests. All data is in one store."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def admit(self, edge: str, locks: list[bytes] | None = None) -> None:
        """Let `edge` serve the locks whose ids are in `locks`. If `locks` is None, `edge` may serve all registered
        locks.

        The next key that asks for a pass under this name is bound to the name. Raises ConfigError `edge.name` for a bad
        name, and ConfigError `edge.locks` for a bad lock id, an empty list or more than MOST_LOCKS locks.
        """
        if not uplink.is_edge_name(edge):
            raise ConfigError("edge.name", "an edge's name has 1 to 32 characters of a-z, 0-9 and hyphen")
        if locks is not None and not (0 < len(locks) <= MOST_LOCKS and all(len(lock_id) == 16 for lock_id in locks)):
            raise ConfigError("edge.locks", f"an edge serves 1 to {MOST_LOCKS} locks, and their ids have 16 bytes")
        with self._store.transaction():
            self._store.revoke_edge(edge, None)
            # Each lock is listed once, because an edge refuses passes that list a lock twice.
            self._store.put_edge(edge, None, None if locks is None else list(dict.fromkeys(locks)))

    def revoke(self, edge: str) -> None:
        """Refuse everything from `edge` from now on, until it is admitted again.

        It gets no pass, and its last pass ends within PASS_SECONDS. Raises ConfigError `edge.name` for an edge that is
        not admitted.
        """
        with self._store.transaction():
            if self._store.edge(edge) is None:
                names = ", ".join(self._store.edges())
                advice = f"Name one of {names}" if names else "There is nothing to revoke"
                raise ConfigError("edge.name", f"no edge {edge!r} is admitted here. {advice}")
            self._store.revoke_edge(edge, int(self._clock()))

    def is_revoked(self, edge: str) -> bool:
        """Was this edge revoked?"""
        return self._store.is_revoked(edge)

    def answer(self, edge: str, request: uplink.PassRequest) -> bytes | None:
        """Return the message with the passes for a request.

        Returns None if the edge is not admitted, is bound to another key, has no locks, or has good passes already.
        """
        with self._store.transaction():
            admitted = self._store.edge(edge)
            if admitted is None:
                _log.warning("edge %s asks for a pass and is not admitted", edge)
                return None
            public, locks = admitted
            if public is None:
                self._store.put_edge(edge, request.edge_public, locks)
            elif public != request.edge_public:
                _log.warning("edge %s asks for a pass with another key; admit it again if that is right", edge)
                return None
            current = self._current(edge, request.edge_public, locks)
            return current[1] if current is not None and current[0] > request.issued_at else None

    def changed(self) -> list[tuple[str, bytes]]:
        """Return (edge, new passes) for each edge whose passes do not list the edge's current locks.

        These passes are sent without a request.
        """
        with self._store.transaction():
            renewed = []
            for edge in self._store.edges():
                public, locks = self._store.edge(edge) or (None, None)
                before = self._store.statement(KIND, edge)
                current = None if public is None else self._current(edge, public, locks)
                if current is not None and current != before:
                    renewed.append((edge, current[1]))
            return renewed

    def _current(self, edge: str, public: bytes, locks: list[bytes] | None) -> tuple[int, bytes] | None:
        """Return the time at which the current passes were issued, and the message with these passes. For an edge
        without locks, return None.

        Passes that end soon or list other locks are replaced by new passes.
        """
        now = int(self._clock())
        wanted = locks or sorted(lock.lock_id for lock in self._store.locks())[:MOST_LOCKS]
        if not wanted:
            return None
        held = self._store.statement(KIND, edge)
        if held is not None:
            forms = [self._open(signed) for signed in uplink.parse_passes(held[1]).statements]
            listed = [lock_id for form in forms for lock_id in form.locks]
            if all(form.edge_public == public and form.not_after - now > RENEW_SECONDS for form in forms):
                if listed == wanted:
                    return held
            # The pass with the later time wins. So a new pass gets a later time, even within the same second.
            now = max(now, forms[0].issued_at + 1)
        passes = [wanted[at : at + MAX_LOCKS] for at in range(0, len(wanted), MAX_LOCKS)]
        until, parts = now + PASS_SECONDS, len(passes)
        message = uplink.Passes([self._sign(EdgePass(now, edge, public, until, listed, parts)) for listed in passes])
        self._store.put_statement(KIND, edge, now, message.encode())
        return now, message.encode()

    def _open(self, signed: bytes) -> EdgePass:
        return EdgePass.parse(statement.open(crypto, signed, KIND, self._keys.signing_public))

    def _sign(self, form: EdgePass) -> bytes:
        return self._keys.sign(KIND, form.body())
