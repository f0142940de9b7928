"""HPKE (RFC 9180) in base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, one message for each context.

The module has only the single-shot form (section 6.1). So the sequence number is always 0, and the nonce is the base
nonce. The costly half, `encapsulate`, does not depend on the message, so a lock can do it while the door is idle.
"""

from protocol import const
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

ENC_BYTES = 65
"""Size of an encapsulated key: an uncompressed P-256 point (Nenc of section 7.1)."""

_VERSION = const(b"HPKE-v1")
_KEM = const(b"KEM\x00\x10")
_SUITE = const(b"HPKE\x00\x10\x00\x01\x00\x01")


def _extract(crypto: "Crypto", suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return crypto.hkdf_extract(salt, _VERSION + suite + label + material)


def _expand(crypto: "Crypto", suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return crypto.hkdf_expand(key, bytes((0, length)) + _VERSION + suite + label + info, length)


def _shared_secret(crypto: "Crypto", shared_x: bytes, enc: bytes, public: bytes) -> bytes:
    """Do ExtractAndExpand (section 4.1) over the KEM context enc || pkR."""
    extracted = _extract(crypto, _KEM, b"", b"eae_prk", shared_x)
    return _expand(crypto, _KEM, extracted, b"shared_secret", enc + public, 32)


def _key_and_nonce(crypto: "Crypto", shared_secret: bytes, info: bytes) -> "tuple[bytes, bytes]":
    """Do KeySchedule (section 5.1) in base mode. There is no pre-shared key, so the id and the value of this key are
    empty.
    """
    context = (
        b"\x00" + _extract(crypto, _SUITE, b"", b"psk_id_hash", b"") + _extract(crypto, _SUITE, b"", b"info_hash", info)
    )
    secret = _extract(crypto, _SUITE, shared_secret, b"secret", b"")
    return (
        _expand(crypto, _SUITE, secret, b"key", context, 16),
        _expand(crypto, _SUITE, secret, b"base_nonce", context, 12),
    )


def encapsulate(
    crypto: "Crypto", public: bytes, ephemeral: "tuple[bytes, bytes] | None" = None
) -> "tuple[bytes, bytes]":
    """Do Encap (section 4.1) for `public`, a 65-byte point. Return (enc, shared secret).

    `ephemeral` is a fresh (private, public) pair. If `ephemeral` is None, a pair is made here. A pair must be used only
    once. Raises VerificationError `crypto.key` for a point not on the curve.
    """
    private, enc = ephemeral or crypto.generate("P-256")
    return enc, _shared_secret(crypto, crypto.ecdh("P-256", private, public), enc, public)


def seal_encapsulated(
    crypto: "Crypto", encapsulation: "tuple[bytes, bytes]", info: bytes, aad: bytes, plaintext: bytes
) -> "tuple[bytes, bytes]":
    """Return (enc, ciphertext with tag) of `plaintext`. A result of `encapsulate` must be used only once."""
    enc, shared_secret = encapsulation
    key, nonce = _key_and_nonce(crypto, shared_secret, info)
    return enc, crypto.seal_gcm(key, nonce, plaintext, aad)


def seal(
    crypto: "Crypto",
    public: bytes,
    info: bytes,
    aad: bytes,
    plaintext: bytes,
    ephemeral: "tuple[bytes, bytes] | None" = None,
) -> "tuple[bytes, bytes]":
    """Do SealBase (section 6.1). Return (enc, ciphertext with its 16-byte tag). Only the owner of `public` can open the
    ciphertext."""
    return seal_encapsulated(crypto, encapsulate(crypto, public, ephemeral), info, aad, plaintext)


def open(crypto: "Crypto", private: bytes, enc: bytes, info: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    """OpenBase (section 6.1): the plaintext.

    Raises FormatError `hpke.form` for a wrong length. Raises VerificationError `crypto.key` if `enc` is not a point on
    the curve, `crypto.tag` if the ciphertext is not authentic.
    """
    if len(enc) != ENC_BYTES or len(ciphertext) < 16:
        raise FormatError("hpke.form", "encapsulated key or ciphertext of the wrong length")
    shared_x = crypto.ecdh("P-256", private, enc)
    secret = _shared_secret(crypto, shared_x, enc, crypto.public("P-256", private))
    key, nonce = _key_and_nonce(crypto, secret, info)
    return crypto.open_gcm(key, nonce, ciphertext, aad)
