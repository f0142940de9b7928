"""Measures the speed of the lock's cryptography on its interpreter (`make bench`). The chip is much slower."""

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from protocol import crypto_cpython
from tests.support.on_lock import run_on_lock

MESSAGE = b"mooring" * 100

MEASURE = """
import time
from firmware import crypto
message = bytes.fromhex(given["message"])
private, public = crypto.generate("P-256")
signature = crypto.sign(private, message)
other = crypto.generate("P-256")[1]
key = crypto.random(16)
operations = {
    "P-256 verify": lambda: crypto.verify("P-256", public, "SHA-256", message, signature),
    "P-256 sign": lambda: crypto.sign(private, message),
    "P-256 ECDH": lambda: crypto.ecdh("P-256", private, other),
    "P-384 verify": lambda: crypto.verify("P-384", bytes.fromhex(given["public"]), "SHA-384", message,
        bytes.fromhex(given["signature"])),
    "AES-128-GCM, 700 bytes": lambda: crypto.seal_gcm(key, bytes(12), message, b""),
}
took = {}
for name, operation in operations.items():
    operation()
    began = time.ticks_us()
    for _ in range(given["rounds"]):
        if not operation():
            raise ValueError(name)
    took[name] = time.ticks_diff(time.ticks_us(), began) / given["rounds"] / 1000
answer(took)
"""


def p384_signature() -> tuple[bytes, bytes]:
    """Return a P-384 public key, and a signature over MESSAGE with this key as `r || s`."""
    private, public = crypto_cpython.generate("P-384")
    key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP384R1())
    r, s = utils.decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(hashes.SHA384())))
    return public, r.to_bytes(48, "big") + s.to_bytes(48, "big")


@pytest.mark.bench
def test_cryptography_on_the_lock() -> None:
    public, signature = p384_signature()
    began = time.monotonic()
    given: dict[str, Any] = {
        "message": MESSAGE.hex(),
        "public": public.hex(),
        "signature": signature.hex(),
        "rounds": 10,
    }
    took = run_on_lock(MEASURE, given)
    print(f"\nmilliseconds each, in a run of {time.monotonic() - began:.1f} s")
    for operation, milliseconds in sorted(took.items()):
        print(f"{operation:>24} {milliseconds:8.2f}")
