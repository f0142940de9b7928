"""The time and the heap that the lock's cryptography takes on this machine's interpreter."""

import pytest

from tests.support.on_lock import run_on_lock

_MEASURED = """
import gc, time
gc.collect()
before = gc.mem_alloc()
from firmware import crypto
gc.collect()
found = {"heap after import, bytes": gc.mem_alloc() - before}

def best(name, call, rounds=20):
    call()
    fastest = 1 << 29
    for _ in range(rounds):
        gc.collect()
        start = time.ticks_us()
        call()
        fastest = min(fastest, time.ticks_diff(time.ticks_us(), start))
    found[name + ", ms"] = fastest / 1000

private, public = crypto.generate("P-256")
signature = crypto.sign(private, b"")
best("P-256 verify", lambda: crypto.verify("P-256", public, "SHA-256", b"", signature))
best("P-256 sign", lambda: crypto.sign(private, b""))
best("P-256 generate", lambda: crypto.generate("P-256"))
best("P-256 ecdh", lambda: crypto.ecdh("P-256", private, public))
gc.collect()
found["heap with P-256 tables, bytes"] = gc.mem_alloc() - before
_, other = crypto.generate("P-384")
best("P-384 verify", lambda: crypto.verify("P-384", other, "SHA-256", b"", signature + bytes(32)))
best("SHA-384 of 1 KiB", lambda: crypto.digest("SHA-384", bytes(1024)))
best("GCM seal of 1 KiB", lambda: crypto.seal_gcm(bytes(16), bytes(12), bytes(1024), b""))
best("HKDF, 32 bytes", lambda: crypto.hkdf_expand(crypto.hkdf_extract(b"", private), b"", 32))
gc.collect()
found["heap with everything, bytes"] = gc.mem_alloc() - before
answer(found)
"""


@pytest.mark.bench
def test_the_cost_of_cryptography_on_the_lock() -> None:
    found = run_on_lock(_MEASURED)
    for name in sorted(found):
        print(f"{name:<32} {found[name]:>10}")
