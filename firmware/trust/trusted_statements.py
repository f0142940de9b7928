"""The lock's trusted: the province-signed statements it acts under, in flash, each replaced only by a newer one."""

from firmware.hardware.console import log
from firmware.trust.revocation import Revocation
from protocol import revocation_list, statement
from protocol.errors import RefusedError
from protocol.mdoc.chain import TrustRoot
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.trust import TrustList
from protocol.trust_rules import ACCEPT, REFUSE_ALL, TRUST_LIST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.identity import Identity
    from firmware.memory.store import Store
    from protocol.crypto import Crypto
    from protocol.mdoc.verifier import VerifiedDocument

_SINGLE = ("placement", "trust-list", "profile")
"""Kinds of which there is one each; of revocation lists there are several (firmware/trust/revocation.py)."""

KINDS = _SINGLE + (revocation_list.KIND,)


class TrustedStatements:
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
        self.revocation = Revocation(crypto, store, identity.anchor)
        for kind in _SINGLE:
            raw = store.read(kind)
            if raw is not None:
                self._hold(self._open(kind, statement.parse(raw)))

    def _open(self, kind: str, signed: statement.Statement) -> "Placement | TrustList | Profile":
        body = signed.open(self._crypto, kind, self._identity.anchor)
        if kind == "trust-list":
            return TrustList.parse(body)
        if kind == "profile":
            return Profile.parse(body)
        placement = Placement.parse(body)
        if placement.lock_id != self._identity.lock_id:
            raise RefusedError("placement.lock", "the placement is for another lock")
        return placement

    def _single(self) -> "dict[str, Placement | TrustList | Profile | None]":
        return {"placement": self.placement, "trust-list": self.trust, "profile": self.profile}

    def _hold(self, form: "Placement | TrustList | Profile") -> None:
        if isinstance(form, Placement):
            self.placement = form
        elif isinstance(form, TrustList):
            self.trust = form
            self.roots = _roots(form)
            for curve in {root.certificate.curve for root in self.roots}:
                if curve is not None:
                    self._crypto.prepare(curve)
            self.revocation.adopt(form, self.roots)
        else:
            self.profile = form

    def accept(self, signed: statement.Statement, now: "tuple[int, int | None]") -> None:
        """Verify and take a statement of one of KINDS; the time lies in the interval `now`.

        Raises VerificationError, FormatError, or RefusedError `<kind>.serial` for one that is older than the one held,
        or another of the same serial; of a revocation list also as `Revocation.accept`.
        """
        kind, data = signed.kind, signed.data
        if kind == revocation_list.KIND:
            self.revocation.accept(signed, now)
            return
        form = self._open(kind, signed)
        held = self._single()[kind]
        if held is not None and form.serial <= held.serial:
            if form.serial == held.serial and data == self._store.read(kind):
                return
            raise RefusedError(kind + ".serial", "a newer one is held")
        if isinstance(form, TrustList):
            _roots(form)  # a list that cannot be used must not replace one that can
        self._store.write(kind, data)
        self._hold(form)

    def serials(self) -> "dict[str, int]":
        """Serial of each statement held, by kind; of each revocation list by its name."""
        serials = {kind: form.serial for kind, form in self._single().items() if form is not None}
        serials.update(self.revocation.serials())
        return serials

    def in_force(self) -> "tuple[Placement, Profile]":
        """Placement and profile to judge by. Raises RefusedError `door.unplaced` until the lock has them all."""
        if self.placement is None or self.profile is None or self.trust is None:
            raise RefusedError("door.unplaced", "placement, profile or trust list is missing")
        if self.profile.id != self.placement.profile_id:
            raise RefusedError("door.unplaced", "the profile is not the one that the placement names")
        return self.placement, self.profile

    def bars(self, document: "VerifiedDocument", latest: "int | None") -> "str | None":
        """Why a verified document may not check in, by the profile's rules for lists that may be stale at `latest`, the
        latest that it can be now (None: unknown); None if it may.

        `trust-list.stale`, `crl.stale` or `status-list.stale` if such a list may be; `mdoc.unlisted` if the document
        refers to one that the trust list does not name. Raises RefusedError with one of the first three where the
        profile wants nobody let in then, whether they have checked in or not.
        """
        assert self.profile is not None and self.trust is not None
        rules = self.profile.trust
        if latest is None or latest > self.trust.issued_at + rules.max_age[TRUST_LIST]:
            code: str | None = "trust-list.stale"
        else:
            code = self.revocation.stale(document.root, document.status, rules, latest)
        if code is not None:
            log("trust.stale", code=code)
            if rules.stale == REFUSE_ALL:
                raise RefusedError(code, "what would say that the document is revoked is missing, or may be too old")
            if rules.stale != ACCEPT:
                return code
        if rules.unlisted != ACCEPT and self.revocation.unlisted(document.root, document.status):
            return "mdoc.unlisted"
        return None


def _roots(trust: TrustList) -> "list[TrustRoot]":
    return [
        TrustRoot(issuer.certificate, issuer.doc_types, issuer.trusted_from, issuer.trusted_until)
        for issuer in trust.issuers
    ]
