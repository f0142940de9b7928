"""The province's statements that the lock follows. They are in flash. Each statement is replaced only by a newer
statement."""

from firmware.hardware.console import log
from firmware.trust.revocation import Revocation
from firmware.trust.verified import Verified
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
"""The lock keeps only one statement of each of these kinds. The lock keeps several revocation lists
(firmware/trust/revocation.py)."""

KINDS = _SINGLE + (revocation_list.KIND,)


class TrustedStatements:
    """The statements in flash. At each boot, the lock checks that it has verified these statements before
    (firmware/trust/verified.py), or verifies them again. So nobody can make the lock trust other issuers by replacing a
    file."""

    def __init__(self, crypto: "Crypto", store: "Store", identity: "Identity") -> None:
        self._crypto = crypto
        self._store = store
        self._identity = identity
        self.placement: Placement | None = None
        self.trust: TrustList | None = None
        self.profile: Profile | None = None
        self.roots: list[TrustRoot] = []
        """The IACAs of the trust list. Each IACA has the document types for which it is trusted."""
        self._verified = Verified(crypto, store, identity)
        self.revocation = Revocation(crypto, store, self._verified)
        for kind in _SINGLE:
            raw = store.read(kind)
            if raw is not None:
                known = self._verified.knows(_SINGLE.index(kind), raw)
                self._use(self._open(kind, statement.parse(raw), known))
                if not known:
                    self._verified.keep(_SINGLE.index(kind), raw)

    def _open(self, kind: str, signed: statement.Statement, known: bool) -> "Placement | TrustList | Profile":
        body = self._verified.body(signed, kind, known)
        if kind == "trust-list":
            return TrustList.parse(body, known)
        if kind == "profile":
            return Profile.parse(body, known)
        placement = Placement.parse(body, known)
        if placement.lock_id != self._identity.lock_id:
            raise RefusedError("placement.lock", "the placement is for another lock")
        return placement

    def _single(self) -> "dict[str, Placement | TrustList | Profile | None]":
        return {"placement": self.placement, "trust-list": self.trust, "profile": self.profile}

    def _use(self, form: "Placement | TrustList | Profile") -> None:
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
        """Verify and take a statement of one of KINDS. The current time lies in the interval `now`.

        Raises VerificationError if the statement does not verify, and FormatError if it is malformed. Raises
        RefusedError `<kind>.serial` if the statement in flash is newer, or has the same serial and different content.
        Raises RefusedError `placement.lock` if a placement is for another lock. For a revocation list, raises the
        errors of `Revocation.accept`.
        """
        kind, data = signed.kind, signed.data
        if kind == revocation_list.KIND:
            self.revocation.accept(signed, now)
            return
        form = self._open(kind, signed, False)
        current = self._single()[kind]
        if current is not None and form.serial <= current.serial:
            if form.serial == current.serial and data == self._store.read(kind):
                return
            raise RefusedError(kind + ".serial", "the lock has a newer one")
        if isinstance(form, TrustList):
            _roots(form)  # this raises an error if the trust list cannot be used; then the old list must stay
        self._store.write(kind, data)
        self._use(form)
        self._verified.keep(_SINGLE.index(kind), data)

    def serials(self) -> "dict[str, int]":
        """Return the serial of each statement in flash. The key of a revocation list is the list's name. The key of any
        other statement is its kind."""
        serials = {kind: form.serial for kind, form in self._single().items() if form is not None}
        serials.update(self.revocation.serials())
        return serials

    def in_force(self) -> "tuple[Placement, Profile]":
        """Return the placement and the profile by which guests are judged.

        Raises RefusedError `door.unplaced` if the placement, the profile or the trust list is missing, and also if the
        placement names another profile.
        """
        if self.placement is None or self.profile is None or self.trust is None:
            raise RefusedError("door.unplaced", "placement, profile or trust list is missing")
        if self.profile.id != self.placement.profile_id:
            raise RefusedError("door.unplaced", "the profile is not the one that the placement names")
        return self.placement, self.profile

    def bars(self, document: "VerifiedDocument", latest: "int | None") -> "str | None":
        """Judge a verified document by the profile's rules for stale and unlisted lists. Return None if the document's
        holder may check in, otherwise a code. `latest` is the latest possible current time (None: unknown).

        The code is `trust-list.stale`, `crl.stale` or `status-list.stale` if the list of this kind may be stale, and
        `mdoc.unlisted` if the document refers to a list that the trust list does not name. If a list may be stale, some
        profiles let nobody in, not even guests who have checked in. With such a profile, the code is raised in a
        RefusedError instead.
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
                raise RefusedError(code, "a list that could revoke the document is missing or may be stale")
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
