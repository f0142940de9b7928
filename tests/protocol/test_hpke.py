"""HPKE compared with the RFC's own vector and with an independent implementation, also on the real interpreter."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from protocol import crypto_cpython as crypto
from protocol import hpke
from protocol.errors import FormatError, VerificationError
from tests.support.on_lock import run_on_lock

# RFC 9180 appendix A.3.1, base mode; first message of the sequence.
A3 = {
    "ikm_e": "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
    "sk_e": "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb",
    "enc": "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9"
    "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
    "sk_r": "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
    "pk_r": "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82"
    "6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
    "shared_secret": "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8",
    "info": "4f6465206f6e2061204772656369616e2055726e",
    "aad": "436f756e742d30",
    "plaintext": "4265617574792069732074727574682c20747275746820626561757479",
    "ciphertext": "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434",
}
V = {name: bytes.fromhex(value) for name, value in A3.items()}

SUITE = CipherSuite.new(KEMId.DHKEM_P256_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)


def test_the_rfc_vector_is_reproduced() -> None:
    encapsulation = hpke.encapsulate(crypto, V["pk_r"], (V["sk_e"], V["enc"]))
    assert encapsulation == (V["enc"], V["shared_secret"])
    sealed = hpke.seal(crypto, V["pk_r"], V["info"], V["aad"], V["plaintext"], (V["sk_e"], V["enc"]))
    assert sealed == (V["enc"], V["ciphertext"])
    assert hpke.open(crypto, V["sk_r"], V["enc"], V["info"], V["aad"], V["ciphertext"]) == V["plaintext"]


def test_the_vector_is_the_one_that_an_independent_library_derives() -> None:
    ephemeral = SUITE.kem.derive_key_pair(V["ikm_e"])
    enc, sender = SUITE.create_sender_context(KEMKey.from_jwk(_jwk(V["pk_r"])), info=V["info"], eks=ephemeral)
    assert (enc, sender.seal(V["plaintext"], V["aad"])) == (V["enc"], V["ciphertext"])


def test_the_rfc_vector_is_reproduced_on_the_lock() -> None:
    answer = run_on_lock(
        """
import firmware.crypto as crypto
from protocol import hpke
v = {name: bytes.fromhex(value) for name, value in given.items()}
enc, ciphertext = hpke.seal(crypto, v["pk_r"], v["info"], v["aad"], v["plaintext"], (v["sk_e"], v["enc"]))
plaintext = hpke.open(crypto, v["sk_r"], enc, v["info"], v["aad"], ciphertext)
answer([enc.hex(), ciphertext.hex(), plaintext.hex()])
""",
        A3,
    )
    assert answer == [A3["enc"], A3["ciphertext"], A3["plaintext"]]


@settings(max_examples=25)
@given(info=st.binary(max_size=80), aad=st.binary(max_size=80), plaintext=st.binary(max_size=300))
def test_what_we_seal_an_independent_library_opens_and_the_reverse(info: bytes, aad: bytes, plaintext: bytes) -> None:
    private, public = crypto.generate("P-256")
    enc, ciphertext = hpke.seal(crypto, public, info, aad, plaintext)
    recipient = SUITE.create_recipient_context(enc, KEMKey.from_jwk(_jwk(public, private)), info=info)
    assert recipient.open(ciphertext, aad) == plaintext
    enc, sender = SUITE.create_sender_context(KEMKey.from_jwk(_jwk(public)), info=info)
    assert hpke.open(crypto, private, enc, info, aad, sender.seal(plaintext, aad)) == plaintext


@pytest.mark.parametrize("part", ["info", "aad", "ciphertext"])
def test_any_altered_part_is_rejected(part: str) -> None:
    altered = dict(V)
    altered[part] = bytes((V[part][0] ^ 1,)) + V[part][1:]
    with pytest.raises(VerificationError) as caught:
        hpke.open(crypto, V["sk_r"], V["enc"], altered["info"], altered["aad"], altered["ciphertext"])
    assert caught.value.code == "crypto.tag"


def test_another_private_key_does_not_open() -> None:
    with pytest.raises(VerificationError) as caught:
        hpke.open(crypto, V["sk_e"], V["enc"], V["info"], V["aad"], V["ciphertext"])
    assert caught.value.code == "crypto.tag"


def test_an_encapsulated_key_off_the_curve_is_rejected() -> None:
    off = V["enc"][:-1] + bytes((V["enc"][-1] ^ 1,))
    with pytest.raises(VerificationError) as caught:
        hpke.open(crypto, V["sk_r"], off, V["info"], V["aad"], V["ciphertext"])
    assert caught.value.code == "crypto.key"


@pytest.mark.parametrize(
    ("enc", "ciphertext"), [(b"", V["ciphertext"]), (V["enc"][:33], V["ciphertext"]), (V["enc"], b"")]
)
def test_wrong_lengths_are_refused_before_any_arithmetic(enc: bytes, ciphertext: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        hpke.open(crypto, V["sk_r"], enc, V["info"], V["aad"], ciphertext)
    assert caught.value.code == "hpke.form"


def test_two_seals_of_one_plaintext_share_nothing() -> None:
    first, second = (hpke.seal(crypto, V["pk_r"], b"", b"", bytes(64)) for _ in range(2))
    assert first[0] != second[0] and first[1] != second[1]


def _jwk(public: bytes, private: bytes | None = None) -> dict[str, str]:
    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    key = {"kty": "EC", "crv": "P-256", "x": text(public[1:33]), "y": text(public[33:])}
    return key if private is None else {**key, "d": text(private)}
