"""Which edges the lock talks to: those with a pass that the province signed, that has not expired or been replaced.

A pass is verified once. After that it is known by its hash. A later pass for the same edge name makes earlier passes
invalid. So a stolen Pi is shut out as soon as its replacement has connected.
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
"""Edge names that are remembered, more than are ever in range of one door."""
_KNOWN = const(4)
"""Verified passes that are remembered by hash."""


class EdgePasses:
    """Judges passes. Remembers in flash, for each edge name, when the latest pass seen was issued."""

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
        """The pass in `data`, if it is valid for the edge that has proven to have the key `edge_public`.

        Raises FormatError; VerificationError `edge-pass.key` (it is another edge's), `edge-pass.expired`,
        `cose.signature`; RefusedError `edge-pass.lock` (it is for other locks), `edge-pass.replaced`.

        A pass counts as expired if it may have expired: the whole interval of the clock must lie before its end. After
        a cold start only the floor is known, and the pass is compared with that, because the time comes over this very
        link. An edge that abuses this gets only sealed records. The signature is checked last, because that is slow.
        """
        signed = statement.parse(data)
        form = EdgePass.parse(signed.read(KIND))
        if form.edge_public != edge_public:
            raise VerificationError("edge-pass.key", "the pass is for a key that this edge does not have")
        if not form.admits(self._identity.lock_id):
            raise RefusedError("edge-pass.lock", "the pass is for other locks")
        earliest, latest = self._clock.interval()
        if (earliest if latest is None else latest) > form.not_after:
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

    def _remember(self, form: EdgePass) -> None:
        if form.edge not in self._latest and len(self._latest) >= NAMES:
            oldest = min(self._latest.values())
            self._latest = {name: issued for name, issued in self._latest.items() if issued > oldest}
        self._latest[form.edge] = form.issued_at
        self._store.write(_FILE, cbor.encode(self._latest))
