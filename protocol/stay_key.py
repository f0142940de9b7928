"""Stay key: a guest who has checked in opens the door with a symmetric key on the phone, in two round trips
(stay_key.cddl).

Both sides derive the key from the session of the check-in. No message mentions the key, so a wallet without stay keys
is not disturbed. Nobody without a key learns which phone or which stay takes part. The phone sends a random number. The
lock sends a proof under each of its keys, mixed with proofs under random keys. A phone that finds no proof under its
own key answers with random bytes. This module is the lock's side. Sans-IO.
"""

from protocol import apdu, cbor, cose
from protocol.crypto import hkdf
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

APPLICATION = b"\xf0Mooring\x01"
"""Our own AID. The application identifier has category F of ISO/IEC 7816-5, which means proprietary without
registration. The last byte is the version."""

INFO = b"mooring/stay-key"
"""HKDF info of the stay key. The info of the standard's own keys is `SKReader` or `SKDevice`."""

KEY_BYTES = 32
NONCE_BYTES = 16
MAX_KEYS = 24
"""Maximum number of keys that one exchange can try. The proofs of so many keys fill a short APDU."""

AUTHENTICATE = 0x82  # ISO/IEC 7816-4: EXTERNAL or MUTUAL AUTHENTICATE
LOCK_PROOF_BYTES = 8
PHONE_PROOF_BYTES = 16
_LOCK = INFO + b"/lock"
_PHONE = INFO + b"/phone"


def derive(crypto: "Crypto", shared: bytes, salt: bytes) -> bytes:
    """Return the stay key of a session. `shared` is the ECDH secret. `salt` is the salt of the session's keys
    (`session.salt`)."""
    return hkdf(crypto, shared, salt, INFO, KEY_BYTES)


def select() -> bytes:
    """Return the first command. The answer shows whether the phone may have a key."""
    return apdu.command(0, apdu.SELECT, 4, 0, APPLICATION, apdu.SHORT_DATA + 1)


class Exchange:
    """One exchange with a phone that answered `select`. `command` is the next command for the phone.

    `keys` are the keys that may open the door now, at most MAX_KEYS. Raises FormatError `stay-key.form` for an answer
    that is not a challenge.
    """

    def __init__(self, crypto: "Crypto", keys: "list[bytes]", challenge: bytes) -> None:
        nonce, spare = crypto.random(NONCE_BYTES), crypto.random(KEY_BYTES)
        self._crypto = crypto
        # Random keys fill the list up to MAX_KEYS. So neither the proofs nor the time show how many keys are real.
        self._keys = (keys + [spare + bytes((number,)) for number in range(MAX_KEYS)])[:MAX_KEYS]
        self._held = len(keys)
        self._nonces = _one(challenge, NONCE_BYTES) + nonce
        proofs = b"".join([self._mac(_LOCK, key)[:LOCK_PROOF_BYTES] for key in self._keys])
        data = cbor.encode([1, nonce, proofs])
        self.command = apdu.command(0, AUTHENTICATE, 0, 0, data, apdu.SHORT_DATA + 1)

    def judge(self, answer: bytes) -> "int | None":
        """Return the index of the key that the phone has proven to hold, or None. Call this only once.

        Raises FormatError `stay-key.form` for anything but an answer.
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
    """Return the byte string in `[1, bstr]`, which must have `size` bytes."""
    head = b"\x82\x01" + bytes((0x40 + size,))  # An array of two items: the version, and a byte string of `size` bytes.
    if len(data) != len(head) + size or not data.startswith(head):
        raise FormatError("stay-key.form", "not a message of this version")
    return data[len(head) :]
