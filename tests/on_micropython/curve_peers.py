"""Measures the time that P-256 takes on MicroPython in `firmware.crypto`, in embit and in ecdsa.

Prints one JSON object: {library: {operation: [ms, KB of garbage]}}.

Every library gets the same digest, keys and nonces. The results of the libraries are compared. The arguments are the
folder with `embit`, and a folder with `ecdsa` (`tests/benchmarks/test_peers_on_the_lock.py` makes both ready).
"""

import gc
import hashlib
import json
import sys
import time

from firmware import crypto

sys.path[:0] = sys.argv[1:]
from ecdsa import ecdsa  # noqa: E402
from embit.util import key as embit  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ROUNDS, IN_A_ROW = 5, 20

gc.threshold(-1)  # type: ignore[attr-defined]  # Importing `firmware` has set a low one.
found: "dict[str, dict[str, list[float]]]" = {}


def measure(library: str, operation: str, call: "Any") -> "Any":
    """Measure the time and the garbage of `call`, and return the result of `call`."""
    result = call()
    fastest = 60.0
    garbage = 0
    for _ in range(ROUNDS):
        gc.collect()
        before = gc.mem_alloc()  # type: ignore[attr-defined]
        start = time.clock()  # type: ignore[attr-defined]  # Time of the processor, in steps of 1 ms.
        for _ in range(IN_A_ROW):
            call()
        fastest = min(fastest, time.clock() - start)  # type: ignore[attr-defined]
        garbage = gc.mem_alloc() - before  # type: ignore[attr-defined]
    found.setdefault(library, {})[operation] = [fastest * 1000 / IN_A_ROW, garbage / 1024 / IN_A_ROW]
    return result


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


private, public = crypto.generate("P-256")
peer_private, peer = crypto.generate("P-256")
x, y = number(public[1:33]), number(public[33:])
peer_x, peer_y = number(peer[1:33]), number(peer[33:])
digest = hashlib.sha256(b"message").digest()
nonce = 1 + number(crypto.random(32)) % (N - 1)

signature = measure("ours", "sign", lambda: crypto.sign(private, b"message"))
assert measure("ours", "verify", lambda: crypto.verify("P-256", public, "SHA-256", b"message", signature))
shared = measure("ours", "ECDH", lambda: crypto.ecdh("P-256", private, peer))
r, s = number(signature[:32]), number(signature[32:])

# embit knows only the curve of Bitcoin, but its formulas take any curve. These are the constants with which embit
# computes.
generator = (ecdsa.generator_256.x(), ecdsa.generator_256.y(), 1)
embit.SECP256K1 = curve = embit.EllipticCurve(P, -3, B)
embit.SECP256K1_G, embit.SECP256K1_ORDER, embit.SECP256K1_ORDER_HALF = generator, N, N // 2
embit_public = embit.ECPubKey()
embit_public.set(public)


def embit_sign() -> "tuple[int, int]":
    """The lines of `ECKey.sign_ecdsa` before the lines that write DER. Those lines need int.bit_length()."""
    r = curve.affine(curve.mul([(generator, nonce)]))[0] % N
    return r, embit.modinv(nonce, N) * (number(digest) + number(private) * r) % N


def integer(value: int) -> bytes:
    """Return an INTEGER in DER."""
    content = b"\0" + value.to_bytes(32, "big")
    while content[0] == 0 and content[1] < 0x80:
        content = content[1:]
    return bytes((2, len(content))) + content


def der(r: int, s: int) -> bytes:
    content = integer(r) + integer(s)
    return bytes((0x30, len(content))) + content


made = measure("embit", "sign", embit_sign)
encoded = der(*made)
assert measure("embit", "verify", lambda: embit_public.verify_ecdsa(encoded, digest, False))
assert not embit_public.verify_ecdsa(encoded, hashlib.sha256(b"other").digest(), False)
point = measure("embit", "ECDH", lambda: curve.affine(curve.mul([((peer_x, peer_y, 1), number(private))])))
assert point[0] == number(shared)

ecdsa.bit_length = lambda value: len(bin(value)) - 2  # As above.
points = ecdsa.ellipticcurve
ecdsa_public = ecdsa.Public_key(ecdsa.generator_256, points.PointJacobi(ecdsa.curve_256, x, y, 1, N))
ecdsa_private = ecdsa.Private_key(ecdsa_public, number(private))
theirs = measure("ecdsa", "sign", lambda: ecdsa_private.sign(number(digest), nonce))
assert ecdsa_public.verifies(number(digest), theirs)
assert measure("ecdsa", "verify", lambda: ecdsa_public.verifies(number(digest), ecdsa.Signature(r, s)))
assert not ecdsa_public.verifies(number(digest) + 1, theirs)
peer_point = points.PointJacobi(ecdsa.curve_256, peer_x, peer_y, 1, N)
assert measure("ecdsa", "ECDH", lambda: (number(private) * peer_point).x()) == number(shared)
assert crypto.verify(
    "P-256", public, "SHA-256", b"message", theirs.r.to_bytes(32, "big") + theirs.s.to_bytes(32, "big")
)
print(json.dumps(found))
