"""Measures single operations of the lock's cryptography on the virtual board."""

import gc
import select

import hosted


def _measure(name, operation, rounds=1):
    operation()  # the first call may build tables
    gc.collect()
    hosted.call("board", "mark", (), {})
    for _ in range(rounds):
        select.as_firmware(operation)
    hosted.call("board", "measured", (name, rounds), {})


def _verification(crypto, name, curve, hashed):
    public, message, signature = [bytes(each) for each in hosted.call("board", "signed", (name,), {})]

    def verify():
        if not crypto.verify(curve, public, hashed, message, signature):
            raise ValueError(name)

    return verify


def _digest(crypto, name, data):
    return lambda: crypto.digest(name, data)


def _nothing():
    """What these modules themselves put on the heap is not counted."""


def run():
    """Measure everything while no lock runs. The garbage collector runs only when the heap is full."""
    from firmware import crypto

    gc.threshold(-1)
    _measure("nothing", _nothing)
    _measure("p256", _verification(crypto, "p256", "P-256", "SHA-256"), 3)
    _measure("p384", _verification(crypto, "p384", "P-384", "SHA-384"))
    _measure("p521", _verification(crypto, "p521", "P-521", "SHA-512"))
    _measure("sm2", _verification(crypto, "sm2", "SM2", "SM3"))
    private, public = crypto.generate("P-256")
    _measure("sign", lambda: crypto.sign(private, b""), 3)
    _measure("generate", lambda: crypto.generate("P-256"), 3)
    _measure("ecdh", lambda: crypto.ecdh("P-256", private, public), 3)
    data = bytes(3072)
    for name in ("SHA-256", "SHA-384", "SHA-512", "SM3"):
        _measure(name, _digest(crypto, name, data))
    _measure("gcm", lambda: crypto.seal_gcm(bytes(32), bytes(12), data, b""))


def beside():
    """Measure a P-256 verification while the lock runs."""
    from firmware import crypto

    _measure("beside", _verification(crypto, "p256", "P-256", "SHA-256"), 3)
