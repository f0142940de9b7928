"""Stay key: a guest who has checked in opens by a symmetric key on the phone, in two round trips (stay_key.cddl).

The key is born of the check-in's own session, so both sides have it without a word said about it: a wallet that knows
nothing of this is not disturbed. Who holds no key learns nothing here, neither which phone nor which stay it is: the
phone shows a random number, the lock a proof under each of its keys among others of nobody's, and a phone that finds
none of its own among them answers with random bytes. Sans-IO, the lock's side.
"""

from protocol import apdu, cbor, cose
from protocol.crypto import hkdf
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

APPLICATION = b"\xf0Mooring\x01"
"""AID of our own: category F of ISO/IEC 7816-5, proprietary without registration; the last byte is the version."""

INFO = b"mooring/stay-key"
"""HKDF info of the key, beside the standard's `SKReader` and `SKDevice`."""

KEY_BYTES = 32
NONCE_BYTES = 16
MAX_KEYS = 24
"""Keys that one exchange can try: their proofs fill a short APDU."""

AUTHENTICATE = 0x82  # ISO/IEC 7816-4: EXTERNAL or MUTUAL AUTHENTICATE
LOCK_PROOF_BYTES = 8
PHONE_PROOF_BYTES = 16
_LOCK = INFO + b"/lock"
_PHONE = INFO + b"/phone"


def derive(crypto: "Crypto", shared: bytes, salt: bytes) -> bytes:
    """The key that a session gives birth to. `shared` is its ECDH secret, `salt` that of its keys (`session.salt`)."""
    return hkdf(crypto, shared, salt, INFO, KEY_BYTES)


def select() -> bytes:
    """The command that finds out whether the phone may have a key."""
    return apdu.command(0, apdu.SELECT, 4, 0, APPLICATION, apdu.SHORT_DATA + 1)


class Exchange:
    """One exchange with a phone that answered `select`; `command` is what to send it next.

    `keys` are those that may open now, at most MAX_KEYS. Raises FormatError `stay-key.form` for an answer that is no
    challenge.
    """

    def __init__(self, crypto: "Crypto", keys: "list[bytes]", challenge: bytes) -> None:
        nonce, spare = crypto.random(NONCE_BYTES), crypto.random(KEY_BYTES)
        self._crypto = crypto
        # As many as there can be, with keys that nobody has: neither proofs nor time tell how many guests are in.
        self._keys = (keys + [spare + bytes((number,)) for number in range(MAX_KEYS)])[:MAX_KEYS]
        self._held = len(keys)
        self._nonces = _one(challenge, NONCE_BYTES) + nonce
        proofs = b"".join([self._mac(_LOCK, key)[:LOCK_PROOF_BYTES] for key in self._keys])
        data = cbor.encode([1, nonce, proofs])
        self.command = apdu.command(0, AUTHENTICATE, 0, 0, data, apdu.SHORT_DATA + 1)

    def judge(self, answer: bytes) -> "int | None":
        """Which of the keys the phone has proven to hold, as an index; None: none of them. Serves once.

        Raises FormatError `stay-key.form` for what is no answer.
        """
        proof = _one(answer, PHONE_PROOF_BYTES)
        keys, self._keys = self._keys, []
        found = None
        for number, key in enumerate(keys):
            if cose.same(proof, self._mac(_PHONE, key)[:PHONE_PROOF_BYTES]):
                found = number
        return None if found is None or found >= self._held else found

    def _mac(self, whose: bytes, key: bytes) -> bytes:
        return self._crypto.hmac_sha256(key, whose + self._nonces)


def _one(data: bytes, size: int) -> bytes:
    """The byte string of that size in `[1, bstr]`."""
    head = b"\x82\x01" + bytes((0x40 + size,))  # an array of two: the version, a byte string of that size
    if len(data) != len(head) + size or not data.startswith(head):
        raise FormatError("stay-key.form", "not a message of this version")
    return data[len(head) :]
