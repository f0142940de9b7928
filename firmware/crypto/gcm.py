"""AES-GCM with a 12-byte nonce and a 16-byte tag (SP 800-38D, section 7)."""

import sys
from struct import pack, pack_into

from firmware.crypto.block import BlockCipher
from protocol import const
from protocol.errors import VerificationError

_MICROPYTHON = sys.implementation.name == "micropython"

if _MICROPYTHON:
    try:
        from firmware.crypto.ghash_viper import ghash, mix
        from firmware.crypto.ghash_viper import pad as pad
    except SyntaxError:  # this MicroPython cannot compile native code for its chip
        from firmware.crypto.ghash import ghash, mix
        from firmware.crypto.ghash import pad as pad  # type: ignore[assignment]
else:
    from firmware.crypto.ghash import ghash, mix
    from firmware.crypto.ghash import pad as pad

_NONCE = const(12)
_TAG = const(16)
_BATCH = const(256)
"""Number of bytes of key stream that are generated at once. This number limits the heap that a long message needs."""


def _tag(cipher: BlockCipher, nonce: bytes, ciphertext: memoryview, aad: bytes) -> bytes:
    """Return the tag for `aad` and `ciphertext`.

    The hash key is the encryption of a zero block. The hash is masked with the key stream of counter 1.
    """
    first = bytearray(bytes(16) + nonce + b"\x00\x00\x00\x01")
    cipher.encrypt(first, first)
    tag = ghash(first[:16], aad, ciphertext, pack(">QQ", 8 * len(aad), 8 * len(ciphertext)))
    mix(memoryview(tag), first[16:], _TAG)
    return bytes(tag)


def _count(cipher: BlockCipher, nonce: bytes, data: memoryview) -> None:
    """XOR the key stream that begins with counter 2 into `data`, in place."""
    counters = bytearray((nonce + bytes(4)) * (min(_BATCH, len(data) + 15) >> 4))
    stream = bytearray(len(counters))
    counter = 2
    for start in range(0, len(data), _BATCH):
        for place in range(12, len(counters), 16):
            pack_into(">I", counters, place, counter)
            counter += 1
        cipher.encrypt(counters, stream)
        piece = data[start : start + _BATCH]
        mix(piece, stream, len(piece))


def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Return the ciphertext of `plaintext`, followed by the tag.

    Raises the errors of `seal_in_place`.
    """
    sealed = bytearray(len(plaintext) + _TAG)
    sealed[:-_TAG] = plaintext
    seal_in_place(key, nonce, memoryview(sealed), aad)
    return bytes(sealed)


def seal_in_place(key: bytes, nonce: bytes, room: memoryview, aad: bytes) -> None:
    """Encrypt the bytes of `room` in place, except the last 16 bytes. These become the tag.

    Raises ValueError if the key does not have 16 or 32 bytes, or if the nonce does not have 12 bytes.
    """
    if len(nonce) != _NONCE:
        raise ValueError("GCM nonce of the wrong length")
    cipher = BlockCipher(key)
    ciphertext = room[:-_TAG]
    _count(cipher, nonce, ciphertext)
    room[-_TAG:] = _tag(cipher, nonce, ciphertext, aad)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Return the plaintext of `sealed`. Raises the errors of `open_in_place`."""
    return bytes(open_in_place(key, nonce, memoryview(bytearray(sealed)), aad))


def open_in_place(key: bytes, nonce: bytes, sealed: memoryview, aad: bytes) -> memoryview:
    """Decrypt `sealed` in place, and return a view of the plaintext.

    Raises VerificationError `crypto.tag` if the tag is wrong, or if nonce or tag have a wrong length. The tag is
    checked before anything is decrypted. Raises ValueError if the key does not have 16 or 32 bytes. Comparing the tags
    takes the same time wherever they differ.
    """
    size = len(sealed) - _TAG
    if len(nonce) != _NONCE or size < 0:
        raise VerificationError("crypto.tag", "the sealed bytes are not authentic")
    cipher = BlockCipher(key)
    difference = 0
    for left, right in zip(sealed[size:], _tag(cipher, nonce, sealed[:size], aad)):
        difference |= left ^ right
    if difference:
        raise VerificationError("crypto.tag", "the sealed bytes are not authentic")
    _count(cipher, nonce, sealed[:size])
    return sealed[:size]
