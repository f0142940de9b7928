"""The AES block cipher, for any number of blocks: MicroPython's `cryptolib`, or `cryptography` on CPython.

AES and SHA-256 are the only algorithms that this package does not implement itself. On an ESP32, `cryptolib` uses the
AES accelerator. The accelerator's time does not depend on key or data.
"""

import sys

_MICROPYTHON = sys.implementation.name == "micropython"

if _MICROPYTHON:
    from cryptolib import aes

    def encrypt_blocks(key: bytes, blocks: "bytes | bytearray") -> bytes:
        """Encrypt each 16-byte block in `blocks` with AES. Raises ValueError unless `key` has 16 or 32 bytes."""
        if len(key) not in (16, 32):
            raise ValueError("AES key of the wrong length")
        encrypted: bytes = aes(key, 1).encrypt(blocks)  # mode 1 is ECB
        return encrypted

else:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    def encrypt_blocks(key: bytes, blocks: "bytes | bytearray") -> bytes:
        """Encrypt each 16-byte block in `blocks` with AES. Raises ValueError unless `key` has 16 or 32 bytes."""
        if len(key) not in (16, 32):
            raise ValueError("AES key of the wrong length")
        # ECB is the bare block cipher, from which counter mode is built. No message is encrypted with ECB.
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)  # noqa: S305
