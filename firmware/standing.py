"""The lock's standing: the province-signed statements it acts under, in flash, each replaced only by a newer one."""

from protocol import statement
from protocol.errors import RefusedError
from protocol.mdoc.chain import TrustRoot
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.trust import TrustList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.identity import Identity
    from firmware.store import Store
    from protocol.crypto import Crypto

KINDS = ("placement", "trust-list", "profile")


class Standing:
    """Opened from flash; what is there is verified again, so a swapped file cannot change whom the lock trusts."""

    def __init__(self, crypto: "Crypto", store: "Store", identity: "Identity") -> None:
        self._crypto = crypto
        self._store = store
        self._identity = identity
        self.placement: Placement | None = None
        self.trust: TrustList | None = None
        self.profile: Profile | None = None
        self.roots: list[TrustRoot] = []
        """The IACAs of the trust list, parsed once, each with the document types it is trusted for."""
        for kind in KINDS:
            raw = store.read(kind)
            if raw is not None:
                self._hold(self._open(kind, raw))

    def _open(self, kind: str, data: bytes) -> "Placement | TrustList | Profile":
        body = statement.open(self._crypto, data, kind, self._identity.anchor)
        if kind == "trust-list":
            return TrustList.parse(body)
        if kind == "profile":
            return Profile.parse(body)
        placement = Placement.parse(body)
        if placement.lock_id != self._identity.lock_id:
            raise RefusedError("placement.lock", "the placement is for another lock")
        return placement

    def _held(self) -> "dict[str, Placement | TrustList | Profile | None]":
        return {"placement": self.placement, "trust-list": self.trust, "profile": self.profile}

    def _hold(self, form: "Placement | TrustList | Profile") -> None:
        if isinstance(form, Placement):
            self.placement = form
        elif isinstance(form, TrustList):
            self.trust = form
            self.roots = _roots(form)
        else:
            self.profile = form

    def accept(self, kind: str, data: bytes) -> None:
        """Verify and take a statement of one of KINDS. Raises VerificationError, FormatError, or RefusedError
        `<kind>.serial` for one that is older than the one held, or another of the same serial."""
        form = self._open(kind, data)
        held = self._held()[kind]
        if held is not None and form.serial <= held.serial:
            if form.serial == held.serial and data == self._store.read(kind):
                return
            raise RefusedError(kind + ".serial", "a newer one is held")
        if isinstance(form, TrustList):
            _roots(form)  # a list that cannot be used must not replace one that can
        self._store.write(kind, data)
        self._hold(form)

    def serials(self) -> "dict[str, int]":
        """Serial of each statement held, by kind."""
        return {kind: form.serial for kind, form in self._held().items() if form is not None}


def _roots(trust: TrustList) -> "list[TrustRoot]":
    return [TrustRoot(certificate, doc_types) for certificate, doc_types in trust.issuers]
