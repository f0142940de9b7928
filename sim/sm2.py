"""SM2 keys that sign, for the test issuers and phones of the national suite.

The time that signing takes reveals the key, so these keys are for tests only.
"""

import secrets
from dataclasses import dataclass

from protocol.sm2_cpython import G, N, digest, multiply


@dataclass(frozen=True)
class PrivateKey:
    """A private key. The `scalar` is in [1, n - 2], as GB/T 32918.1, section 6.1, requires."""

    scalar: int

    @staticmethod
    def generate() -> "PrivateKey":
        """Return a new key."""
        return PrivateKey(1 + secrets.randbelow(N - 2))

    @property
    def public(self) -> bytes:
        """The public key, `04 || X || Y`."""
        point = multiply(self.scalar, G)
        assert point is not None
        return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")

    def sign(self, message: bytes, nonce: int | None = None) -> bytes:
        """Return the signature `r || s` (GB/T 32918.2 section 6) with the default user id.

        Give `nonce` only to reproduce published test signatures.
        """
        e = digest(self.public, message)
        while True:
            k = 1 + secrets.randbelow(N - 1) if nonce is None else nonce
            point = multiply(k, G)
            assert point is not None
            r = (e + point[0]) % N
            s = pow(1 + self.scalar, -1, N) * (k - r * self.scalar) % N
            if r and r + k != N and s:
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
