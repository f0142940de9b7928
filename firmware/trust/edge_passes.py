"""Which edges the lock talks to: those with a pass that the province signed, not expired, not replaced by a later one.

A pass is verified once and then known by its hash. A later pass for an edge's name puts an end to the ones before, so
a Pi that was stolen is shut out as soon as its replacement has been here.
"""

from protocol import cbor, const, statement
from protocol.edge_pass import KIND, EdgePass
from protocol.errors import RefusedError, StorageError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.clock import Clock
    from firmware.memory.identity import Identity
    from firmware.memory.store import Store
    from protocol.crypto import Crypto

_FILE = const("edges")

NAMES = 16
"""Edges remembered: more than will ever be in range of one door."""
_KNOWN = const(4)
"""Verified passes remembered by hash."""


class EdgePasses:
    """Judges passes; remembers in flash, by edge name, when the latest one seen was issued."""

    def __init__(self, crypto: "Crypto", store: "Store", identity: "Identity", clock: "Clock") -> None:
        self._crypto = crypto
        self._store = store
        self._identity = identity
        self._clock = clock
        self._known: list[bytes] = []
        self._latest = self._load()

    def _load(self) -> "dict[str, int]":
        raw = self._store.read(_FILE)
        latest = {} if raw is None else cbor.decode(raw)
        if not isinstance(latest, dict):
            raise StorageError("edges.corrupt", "the file of edges does not hold them")
        return latest

    def judge(self, data: bytes, edge_public: bytes) -> EdgePass:
        """The pass in `data`, if it is good for whoever has proven to hold `edge_public`; what is cheap is asked first.

        Raises FormatError; VerificationError `edge-pass.key` (another edge's), `edge-pass.expired`, `cose.signature`;
        RefusedError `edge-pass.lock` (for other locks), `edge-pass.replaced`. Expired means that it may have: the whole
        interval of the clock must lie before its end. After a cold start only the floor is known and judged, because
        the time itself comes over this link; an edge that plays on that gets to carry what it cannot read.
        """
        signed = statement.parse(data)
        form = EdgePass.parse(signed.read(KIND))
        if form.edge_public != edge_public:
            raise VerificationError("edge-pass.key", "the pass is for another key than the edge has")
        if not form.admits(self._identity.lock_id):
            raise RefusedError("edge-pass.lock", "the pass is for other locks")
        earliest, latest = self._clock.interval()
        if (earliest if latest is None else latest) > form.not_after:
            raise VerificationError("edge-pass.expired", "the pass has expired")
        newest = self._latest.get(form.edge, 0)
        if form.issued_at < newest:
            raise RefusedError("edge-pass.replaced", "a later pass for this edge has been here")
        digest = self._crypto.digest("SHA-256", data)
        if digest not in self._known:
            signed.verify(self._crypto, self._identity.anchor)
            self._known = self._known[1 - _KNOWN :] + [digest]
        if form.issued_at > newest:
            self._remember(form)
        return form

    def _remember(self, form: EdgePass) -> None:
        if form.edge not in self._latest and len(self._latest) >= NAMES:
            oldest = min(self._latest.values())
            self._latest = {name: issued for name, issued in self._latest.items() if issued > oldest}
        self._latest[form.edge] = form.issued_at
        self._store.write(_FILE, cbor.encode(self._latest))
