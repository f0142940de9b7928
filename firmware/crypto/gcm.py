"""AES-GCM with a 12-byte nonce and a 16-byte tag (SP 800-38D, section 7)."""

import sys
from struct import pack, pack_into

from firmware.crypto.block import encrypt_blocks
from protocol import const
from protocol.errors import VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MICROPYTHON = sys.implementation.name == "micropython"

if _MICROPYTHON:
    try:
        from firmware.crypto.ghash_viper import ghash
    except SyntaxError:  # this MicroPython cannot compile native code for its chip
        from firmware.crypto.ghash import ghash
else:
    from firmware.crypto.ghash import ghash

_NONCE = const(12)
_TAG = const(16)
_BATCH = const(64)
"""Number of blocks of key stream that are generated at once. This number limits the heap that a long message needs."""


def _tag(key: bytes, nonce: bytes, ciphertext: "Sequence[bytes | memoryview]", aad: bytes) -> bytes:
    """Return the tag for `aad` and for a ciphertext that comes in pieces. Every piece except the last consists of whole
    blocks.

    The hash key is the encryption of a zero block. The hash is masked with the key stream of counter 1.
    """
    first = encrypt_blocks(key, bytes(16) + nonce + b"\x00\x00\x00\x01")
    size = sum([len(piece) for piece in ciphertext])
    hashed = ghash(first[:16], aad, *ciphertext, pack(">QQ", 8 * len(aad), 8 * size))
    return bytes([left ^ right for left, right in zip(hashed, first[16:])])


def _count(key: bytes, nonce: bytes, data: "bytes | memoryview") -> "list[bytes]":
    """Return `data` XOR the key stream that begins with counter 2, in pieces of `_BATCH` blocks."""
    counters = bytearray((nonce + bytes(4)) * min(_BATCH, len(data) + 15 >> 4))
    counter = 2
    pieces = []
    for start in range(0, len(data), 16 * _BATCH):
        piece = data[start : start + 16 * _BATCH]
        for place in range(12, len(piece) + 12, 16):
            pack_into(">I", counters, place, counter)
            counter += 1
        stream = encrypt_blocks(key, counters)[: len(piece)]
        mixed = int.from_bytes(piece, "big") ^ int.from_bytes(stream, "big")
        pieces.append(mixed.to_bytes(len(piece), "big"))
    return pieces


def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Return the ciphertext of `plaintext`, followed by the tag.

    Raises ValueError if the key does not have 16 or 32 bytes, or if the nonce does not have 12 bytes.
    """
    if len(nonce) != _NONCE:
        raise ValueError("GCM nonce of the wrong length")
    pieces = _count(key, nonce, memoryview(plaintext))
    pieces.append(_tag(key, nonce, pieces, aad))
    return b"".join(pieces)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Return the plaintext of `sealed`.

    Raises VerificationError `crypto.tag` if the tag is wrong, or if nonce or tag have a wrong length. The tag is
    checked before anything is decrypted. Raises ValueError if the key does not have 16 or 32 bytes. The time of the
    comparison of tags does not depend on the place where they differ.
    """
    ciphertext, tag = memoryview(sealed)[:-_TAG], sealed[-_TAG:]
    if len(nonce) != _NONCE or len(tag) != _TAG:
        raise VerificationError("crypto.tag", "the sealed bytes are not authentic")
    difference = 0
    for left, right in zip(tag, _tag(key, nonce, (ciphertext,), aad)):
        difference |= left ^ right
    if difference:
        raise VerificationError("crypto.tag", "the sealed bytes are not authentic")
    return b"".join(_count(key, nonce, ciphertext))
