"""The stay-key app on a phone. With this app, the owner need not show the ID again (stay_key.cddl).

This module is written from the description, without code of the lock. The app does not know which lock it meets, or
whether a lock accepted the check-in. The app keeps the keys of its latest sessions. When a lock proves that it knows
one of these keys, the app answers with a proof that it has that key, too.
"""

import hmac
import os

import cbor2

APPLICATION = bytes.fromhex("f04d6f6f72696e6701")
INFO = b"mooring/stay-key"
_MOST = 4


def answered(command: bytes) -> bool:
    """Does this command ask for the phone's proof?"""
    return command[1:2] == b"\x82"


class StayKeys:
    """The keys on one phone, newest first. `recognized`: did the latest lock prove that it knows one of these keys?"""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.recognized = False
        self._nonce: bytes | None = None

    def add(self, key: bytes) -> None:
        """Keep the key of a session in which the ID was presented."""
        self.keys = [key, *(held for held in self.keys if held != key)][:_MOST]

    def select(self) -> bytes | None:
        """Return the challenge, or None if the app has no key. An app without a key cannot be selected."""
        self.recognized = False
        if not self.keys:
            return None
        self._nonce = os.urandom(16)
        return cbor2.dumps([1, self._nonce])

    def authenticate(self, data: bytes) -> bytes | None:
        """Return the answer to AUTHENTICATE.

        Returns None if `data` is malformed, or if this is not the first call since `select`.
        """
        nonce, self._nonce = self._nonce, None
        try:
            version, lock_nonce, proofs = cbor2.loads(data)
        except (cbor2.CBORDecodeError, TypeError, ValueError):
            return None
        formed = isinstance(lock_nonce, bytes) and isinstance(proofs, bytes) and len(lock_nonce) == 16
        if nonce is None or version != 1 or not formed or len(proofs) != 192:
            return None
        answer = os.urandom(16)
        known = {proofs[at : at + 8] for at in range(0, len(proofs), 8)}
        for key in self.keys:
            if _mac(key, b"/lock", nonce, lock_nonce)[:8] in known:
                self.recognized = True
                answer = _mac(key, b"/phone", nonce, lock_nonce)[:16]
        return cbor2.dumps([1, answer])


def _mac(key: bytes, whose: bytes, nonce: bytes, lock_nonce: bytes) -> bytes:
    return hmac.digest(key, INFO + whose + nonce + lock_nonce, "sha256")
