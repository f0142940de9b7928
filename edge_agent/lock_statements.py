"""Read a statement for a lock: check that the right party signed it, and find the place that it takes in the queue.

The lock decides whether to act on the statement. The check here stops junk, which would take disk space and radio
time away from the statements that province and platform signed.
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

PLACES: Final = {
    placement.KIND: 1,
    profile.KIND: 4,
    trust.KIND: 1,
    revocation_list.KIND: trust.MAX_LISTS,
    grant.KIND: 512,
}
"""Number of places of one lock in the queue, for each kind. In a year, a lock gets about a hundred grants. When all
places for grants are taken, the queue keeps the grants with the latest end."""
KINDS: Final = tuple(PLACES)
"""The kinds that are queued for a lock, in the order in which the lock can use them. Receipts and answers about the
time also go to the lock, but not through these places. No other kind is handed to a lock."""


@dataclass(frozen=True)
class LockStatement:
    """A statement for a lock. If several statements have the same `kind` and `name`, the statement with the highest
    `serial` counts.

    `name` is the grant's id, the number of a revocation list, the profile's id, or empty. If the statement cannot be
    verified yet, or its form is unknown to this agent, `name` is the statement's digest. For a grant, `until` is the
    time when the grant's rights end, in epoch seconds; for other kinds it is 0. `signed` is the statement itself.
    `verified` is True if the right party signed it. `placement` is set only for a placement.
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
        """Return the name of this statement in a HELLO. Under this name, a HELLO gives the serial of the lock's own
        copy."""
        return revocation_list.name(int(self.name)) if self.known and self.kind == revocation_list.KIND else self.kind

    @property
    def known(self) -> bool:
        """Return True if the statement is verified and this agent knows its form."""
        return self.verified and self.serial > 0


def read(signed: Statement, lock_id: bytes, province_public: bytes | None, platform_key: bytes | None) -> LockStatement:
    """Read the statement `signed` for a lock. Keys are 65-byte points.

    `province_public` is None in an experiment without the province's key; then only the form is checked. `platform_key`
    comes from the lock's placement. While no placement is known, `platform_key` is None, and grants are not verified.
    Raises FormatError, with the code `statement.kind` for a kind that is not for locks. Raises VerificationError:
    `cose.signature` for a bad signature, `placement.lock` for a placement of another lock.
    """
    kind, data = signed.kind, signed.data
    if kind not in KINDS:
        raise FormatError("statement.kind", "this kind of statement is not for locks")
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
        # The statement is signed. If the lock's software is newer than this agent, the lock may understand the
        # statement.
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
