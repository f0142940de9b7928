"""The AES block cipher, a block at a time or many: the chip's own on MicroPython, `cryptography`'s on CPython.

This is the only thing in this package that another hand wrote; modes of operation are ours on both interpreters. On
an ESP32 `cryptolib` drives the AES accelerator, whose time does not depend on key or data.
"""

import sys

if sys.implementation.name == "micropython":
    from cryptolib import aes  # type: ignore[import-not-found, unused-ignore]  # MicroPython's own module

    def encrypt_blocks(key: bytes, blocks: bytes) -> bytes:
        """AES-128 or AES-256 of each 16-byte block in `blocks`. Raises ValueError for another length of `key`."""
        if len(key) not in (16, 32):
            raise ValueError("AES key of the wrong length")
        encrypted: bytes = aes(key, 1).encrypt(blocks)  # mode 1 is ECB
        return encrypted

else:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    def encrypt_blocks(key: bytes, blocks: bytes) -> bytes:
        """AES-128 or AES-256 of each 16-byte block in `blocks`. Raises ValueError for another length of `key`."""
        if len(key) not in (16, 32):
            raise ValueError("AES key of the wrong length")
        # Mode ECB is the bare block cipher that counter mode is made of; no message is ever encrypted with it.
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)  # noqa: S305
