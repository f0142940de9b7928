"""The AES block cipher, for any number of blocks: MicroPython's `cryptolib`, or `cryptography` on CPython.

AES and SHA-256 are the only algorithms that this package does not implement itself. On an ESP32, `cryptolib` uses the
AES accelerator. The accelerator's time does not depend on key or data.
"""

import sys

_MICROPYTHON = sys.implementation.name == "micropython"

if _MICROPYTHON:
    from cryptolib import aes

    class BlockCipher:
        """AES with one key. Raises ValueError unless `key` has 16 or 32 bytes."""

        def __init__(self, key: bytes) -> None:
            if len(key) not in (16, 32):
                raise ValueError("AES key of the wrong length")
            self._cipher = aes(key, 1)  # mode 1 is ECB

        def encrypt(self, blocks: "bytes | bytearray", encrypted: bytearray) -> None:
            """Encrypt each 16-byte block of `blocks` into `encrypted`. Both have the same length."""
            self._cipher.encrypt(blocks, encrypted)

else:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    class BlockCipher:
        """AES with one key. Raises ValueError unless `key` has 16 or 32 bytes."""

        def __init__(self, key: bytes) -> None:
            if len(key) not in (16, 32):
                raise ValueError("AES key of the wrong length")
            # ECB is the bare block cipher, from which counter mode is built. No message is encrypted with ECB.
            self._cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305

        def encrypt(self, blocks: "bytes | bytearray", encrypted: bytearray) -> None:
            """Encrypt each 16-byte block of `blocks` into `encrypted`. Both have the same length."""
            encrypted[:] = self._cipher.update(blocks)
