"""Stay PIN: eight digits for one guest of one stay. Platform and lock each derive the PIN, so no message carries it.

The PIN depends on the guest's commitment and on the commitment key, which only platform and lock can compute
(`protocol.grant`). So each guest has a separate PIN. A PIN stays the same when the guest list changes. The lock never
stores a PIN.
"""

from protocol import cbor, const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

DIGITS = 8
"""Number of digits in a PIN. One guess in a hundred million is right. docs/threat-model.md shows how safe this is with
the limits that the lock sets."""

_LABEL = const("mooring/stay-pin")


def stay_pin(crypto: "Crypto", key: bytes, grant_id: bytes, commitment: bytes) -> str:
    """Return the PIN of the guest with this `commitment` (32 bytes) in the stay `grant_id`; `key` is
    `grant.commitment_key`.

    This HMAC is over an array that begins with text. The array of a commitment begins with bytes, so the two HMACs are
    never over the same array.
    """
    mac = crypto.hmac_sha256(key, cbor.encode([_LABEL, grant_id, commitment]))
    return "%0*d" % (DIGITS, int.from_bytes(mac[:16], "big") % 10**DIGITS)


def is_pin(text: str) -> bool:
    """Does `text` have the form of a PIN?"""
    return len(text) == DIGITS and all("0" <= digit <= "9" for digit in text)
