"""Who stands at the door, as far as it was shown: one claim for each way of showing it.

A claim has a `method`, which goes into the record; says by `guest_of` which guest of a stay it is, if it is one who has
checked in; and by `commitment` who it would check in as, if it shows an identity at all.
"""

from protocol.grant import commitment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from firmware.stays import Stay
    from protocol.crypto import Crypto
    from protocol.mdoc.remembered import Recollection

    class Claim(Protocol):
        """What `policy.decide` judges."""

        method: str
        traces: "Traces | None"
        """What the visit leaves behind for the next one, if it opens."""
        fields: "dict[str, str]"
        """What was shown to be registered, in canonical form; empty if nothing was."""
        barred: "str | None"
        """Code of why this may not check in, good as it is for one who has; None if it may."""

        def guest_of(self, stay: Stay) -> "int | None":
            """Number of the guest of `stay` that this is, or None for none who has checked in."""

        def commitment(self, stay: Stay) -> "bytes | None":
            """Whom this would check in under `stay`, or None where no identity is shown."""

        def tie(self, stay: Stay) -> "tuple[int, str]":
            """Whose minor the grant of `stay` says that this is; as `Grant.tie`."""


class Traces:
    """Of a presentation: the stay key that its session gave birth to, and its issuers' signatures."""

    def __init__(self, stay_key: bytes, issuers: "Recollection") -> None:
        self.stay_key = stay_key
        self.issuers = issuers


class DocumentClaim:
    """A verified document whose holder is present. `key_of` gives the key of commitments by a platform;
    `barred` as in Claim."""

    method = "mdoc"

    def __init__(
        self,
        crypto: "Crypto",
        key_of: "Callable[[bytes], bytes]",
        fields: "dict[str, str]",
        barred: "str | None" = None,
        traces: "Traces | None" = None,
    ) -> None:
        self._crypto = crypto
        self._key_of = key_of
        self._made: dict[bytes, bytes] = {}
        self.fields = fields
        self.barred = barred
        self.traces = traces

    def guest_of(self, stay: "Stay") -> "int | None":
        """As Claim."""
        return stay.number(self.commitment(stay))

    def commitment(self, stay: "Stay") -> bytes:
        """As Claim."""
        grant_id = stay.grant.grant_id
        if grant_id not in self._made:
            key, number, born = self._key_of(stay.platform), self.fields["id_number"], self.fields.get("birth_date", "")
            self._made[grant_id] = commitment(self._crypto, key, grant_id, number, born)
        return self._made[grant_id]

    def tie(self, stay: "Stay") -> "tuple[int, str]":
        """As Claim. Raises RefusedError `grant.tie`."""
        return stay.grant.tie(self._crypto, self._key_of(stay.platform), self.commitment(stay))


class ReturningGuest:
    """One who has checked in and shows something else than an ID. `method` is "pin" or "stay-key"; `guest` is their
    grant id and commitment."""

    barred: "str | None" = None
    traces: "Traces | None" = None

    def __init__(self, method: str, guest: "tuple[bytes, bytes]") -> None:
        self.method = method
        self.fields: dict[str, str] = {}
        self._grant_id, self._commitment = guest

    def guest_of(self, stay: "Stay") -> "int | None":
        """As Claim."""
        return stay.number(self._commitment) if stay.grant.grant_id == self._grant_id else None

    def commitment(self, _stay: "Stay") -> None:
        """As Claim: nobody checks in by this."""
        return

    def tie(self, _stay: "Stay") -> "tuple[int, str]":
        """As Claim: nobody's minor."""
        return 0, ""
