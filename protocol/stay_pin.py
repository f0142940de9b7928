"""Stay PIN: eight digits for one guest of one stay, which platform and lock each derive and nobody has to carry.

It hangs on the commitment key, which only the two can compute (`protocol.grant`), and on the guest's commitment, so
it is the guest's own and stays the same when the guest list changes. Nothing of it is ever at rest on the lock.
"""

from protocol import cbor, const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

DIGITS = 8
"""A guess is right once in a hundred million; with the lock's limits see docs/threat-model.md."""

_LABEL = const("mooring/stay-pin")


def stay_pin(crypto: "Crypto", key: bytes, grant_id: bytes, commitment: bytes) -> str:
    """PIN of the guest with that `commitment` (32 bytes) in the stay `grant_id`; `key` is `grant.commitment_key`.

    A commitment's HMAC is over an array that begins with bytes, this one's with text: neither is ever the other's.
    """
    mac = crypto.hmac_sha256(key, cbor.encode([_LABEL, grant_id, commitment]))
    return "%0*d" % (DIGITS, int.from_bytes(mac[:16], "big") % 10**DIGITS)


def is_pin(text: str) -> bool:
    """Does `text` look like one?"""
    return len(text) == DIGITS and all("0" <= digit <= "9" for digit in text)
