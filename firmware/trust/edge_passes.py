"""The check of edge passes. The lock serves only edges with a valid pass. A pass is valid if the province has signed
it, and if it has neither expired nor been replaced by a later pass.

The signature of a pass is verified once; after that the lock knows the pass by its hash. A later pass for the same edge
name makes earlier passes invalid. So if a Pi is stolen, its pass is refused as soon as the replacement has connected.
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
"""Maximum number of edge names that are remembered. Fewer edges than this are in range of one door."""
_KNOWN = const(4)
"""Maximum number of verified passes that are remembered by hash."""


class EdgePasses:
    """Judges passes. For each edge name, this object keeps in flash the time when the latest pass was issued."""

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
            raise StorageError("edges.corrupt", "the file of edges cannot be parsed")
        return latest

    def judge(self, data: bytes, edge_public: bytes) -> EdgePass:
        """Return the pass in `data` if it is valid for the edge that has the key `edge_public`. The edge has already
        proven that it has this key.

        Raises FormatError if the pass is malformed. Raises VerificationError `edge-pass.key` if the pass belongs to
        another edge, `edge-pass.expired` if the pass may have expired, and `cose.signature` if the signature is wrong.
        Raises RefusedError `edge-pass.lock` if the pass is for other locks, and `edge-pass.replaced` if the lock has
        seen a later pass.

        A pass is valid only if the clock's whole interval lies before the end of the pass. After a cold start, the
        clock knows only the earliest possible time (the floor). In that case, only this time is compared with the end
        of the pass, because the lock gets the true time over this link. An edge with an expired pass could then
        connect, but would get only sealed records. The signature is checked last, because this check is slow.
        """
        signed = statement.parse(data)
        form = EdgePass.parse(signed.read(KIND))
        if form.edge_public != edge_public:
            raise VerificationError("edge-pass.key", "the pass is for a key that this edge does not have")
        if not form.admits(self._identity.lock_id):
            raise RefusedError("edge-pass.lock", "the pass is for other locks")
        if self.is_over(form.not_after):
            raise VerificationError("edge-pass.expired", "the pass has expired")
        newest = self._latest.get(form.edge, 0)
        if form.issued_at < newest:
            raise RefusedError("edge-pass.replaced", "the lock has seen a later pass for this edge")
        digest = self._crypto.digest("SHA-256", data)
        if digest not in self._known:
            signed.verify(self._crypto, self._identity.anchor)
            self._known = self._known[1 - _KNOWN :] + [digest]
        if form.issued_at > newest:
            self._remember(form)
        return form

    def is_over(self, until: int) -> bool:
        """May the time `until`, the end of a pass, be over? See `judge`."""
        earliest, latest = self._clock.interval()
        return (earliest if latest is None else latest) > until

    def _remember(self, form: EdgePass) -> None:
        if form.edge not in self._latest and len(self._latest) >= NAMES:
            oldest = min(self._latest.values())
            self._latest = {name: issued for name, issued in self._latest.items() if issued > oldest}
        self._latest[form.edge] = form.issued_at
        self._store.write(_FILE, cbor.encode(self._latest))
