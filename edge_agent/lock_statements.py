"""What the edge can tell of a statement for a lock: whether its signer is the right one, and which place it takes.

Whether a lock may act on it is for the lock to judge. Here it is kept from taking disk and radio that belong to what
province and platform did sign.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from protocol import crypto_cpython as crypto
from protocol import grant, placement, profile, revocation_list, trust
from protocol.errors import FormatError, VerificationError
from protocol.grant import Grant
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.revocation_list import RevocationList
from protocol.statement import Statement
from protocol.trust import TrustList

KINDS: Final = (placement.KIND, profile.KIND, trust.KIND, revocation_list.KIND, grant.KIND)
"""What is held for a lock and handed to it, in the order in which it can use them. No other kind ever is, but receipts
and answers about the time, which have ways of their own."""


@dataclass(frozen=True)
class LockStatement:
    """A statement for a lock. Of those with one `kind` and `name` the highest `serial` counts.

    `name` is the grant's id, the number of a list, the profile's id, or empty; what cannot be verified yet, or is
    signed and of a form that this agent does not know, is named by its digest. `until` is the end of what a grant can
    do, in epoch seconds, else 0. `verified`: is the signer the right one? `placement` is the placement, if it is one.
    """

    kind: str
    name: str
    serial: int
    until: int
    signed: bytes
    verified: bool = True
    placement: Placement | None = None

    @property
    def reported_as(self) -> str:
        """The name under which a lock's HELLO says which serial of it the lock holds."""
        return revocation_list.name(int(self.name)) if self.known and self.kind == revocation_list.KIND else self.kind

    @property
    def known(self) -> bool:
        """Is it verified, and of a form that this agent knows?"""
        return self.verified and self.serial > 0


def read(signed: Statement, lock_id: bytes, province_public: bytes | None, platform_key: bytes | None) -> LockStatement:
    """The statement `signed` for a lock. Keys are 65-byte points.

    `province_public` is None in an experiment without it: then everything is taken by its form. `platform_key` is that
    of the lock's placement, None while none is known: then a grant is not verified. Raises FormatError
    (`statement.kind` for a kind that no lock is handed), VerificationError `cose.signature`, `placement.lock`.
    """
    kind, data = signed.kind, signed.data
    if kind not in KINDS:
        raise FormatError("statement.kind", "no statement for a lock")
    signer = platform_key if kind == grant.KIND else province_public
    if province_public is None:
        return _FORMS[kind](signed.read(kind), data, lock_id)
    if signer is None:
        form = Grant.parse(signed.read(kind))
        return LockStatement(kind, _digest(data), 0, form.horizon, data, verified=False)
    body = signed.open(crypto, kind, signer)
    try:
        return _FORMS[kind](body, data, lock_id)
    except FormatError:
        # Signed all the same: a lock newer than this agent may know what it means.
        return LockStatement(kind, _digest(data), 0, 0, data)


def _digest(signed: bytes) -> str:
    return hashlib.sha256(signed).hexdigest()


def _placement(body: dict[Any, Any], signed: bytes, lock_id: bytes) -> LockStatement:
    form = Placement.parse(body)
    if form.lock_id != lock_id:
        raise VerificationError("placement.lock", "the placement is for another lock")
    return LockStatement(placement.KIND, "", form.serial, 0, signed, placement=form)


def _profile(body: dict[Any, Any], signed: bytes, _lock_id: bytes) -> LockStatement:
    form = Profile.parse(body)
    return LockStatement(profile.KIND, form.id, form.serial, 0, signed)


def _trust_list(body: dict[Any, Any], signed: bytes, _lock_id: bytes) -> LockStatement:
    return LockStatement(trust.KIND, "", TrustList.parse(body).serial, 0, signed)


def _revocation_list(body: dict[Any, Any], signed: bytes, _lock_id: bytes) -> LockStatement:
    form = RevocationList.parse(body)
    return LockStatement(revocation_list.KIND, str(form.number), form.serial, 0, signed)


def _grant(body: dict[Any, Any], signed: bytes, _lock_id: bytes) -> LockStatement:
    form = Grant.parse(body)
    return LockStatement(grant.KIND, form.grant_id.hex(), form.serial, form.horizon, signed)


_FORMS: Final[dict[str, Callable[[dict[Any, Any], bytes, bytes], LockStatement]]] = {
    placement.KIND: _placement,
    profile.KIND: _profile,
    trust.KIND: _trust_list,
    revocation_list.KIND: _revocation_list,
    grant.KIND: _grant,
}
