"""MicroPython runs this program as one boot of a lock. After each boot, the chip's generator gives the same numbers.

The first argument is `enrol` or `boot`. For `boot`, there is a second argument. With `secret`, numbers are drawn as the
firmware draws them. With `nothing`, all numbers come only from the chip's generator. Prints one line of JSON. The line
maps each purpose to the number that was drawn for this purpose, in hex.
"""

import json
import sys

from firmware import crypto
from firmware.crypto import ecdsa, generator, modular, secret_multiples
from firmware.crypto.curve import find_curve
from firmware.memory import identity
from firmware.memory.store import Store

# isort: split
from firmware.link.admission import Admission
from firmware.mdoc_reader.session_keys import SessionKeys
from firmware.memory.clock import Clock
from protocol import hpke, stay_key
from protocol.mdoc import ble
from sim.board.boot import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

drawn = [0]


def repeating(length: int) -> bytes:
    """Return bytes in place of the chip's generator, from a stream that starts from the beginning at each boot."""
    stream = b""
    while len(stream) < length:
        drawn[0] += 1
        stream += crypto.digest("SHA-256", drawn[0].to_bytes(4, "big"))
    return stream[:length]


def everything(own: identity.Identity, store: Store) -> "dict[str, bytes]":
    """Draw one number for each purpose for which the lock draws numbers."""
    admission = Admission(crypto, own)
    admission.prepare()
    link = admission._ephemeral
    nonce = Clock(crypto, store, own.lock_id).nonce()
    assert link is not None and nonce is not None
    assert ecdsa.sign_with_ready(own.private, b"the same") is None, "no nonce outlives a boot"
    assert ecdsa.prepare()
    ready = ecdsa.sign_with_ready(own.private, b"the same")
    assert ready is not None
    curve = find_curve("P-256")
    return {
        "key on P-256": crypto.generate("P-256")[0],
        "key on P-384": crypto.generate("P-384")[0],
        "nonce of a signature": crypto.sign(own.private, b"the same")[:32],
        "nonce made ahead": ready[:32],
        "encapsulation": hpke.encapsulate(crypto, own.public)[0],
        "session's ephemeral key": SessionKeys(crypto).take("P-256")[0],
        "link's ephemeral key": link[0],
        "nonce of the clock": nonce,
        "nonce of a stay key": stay_key.Exchange(crypto, [], b"\x82\x01\x50" + bytes(16)).command,
        "transaction's UUID": ble.new_uuid(crypto.random(16)),
        "blinding of a scalar": secret_multiples._signed_bits(curve, 5, 320),
        "blinding of a point": modular.random_below(curve.p, curve.size).to_bytes(32, "big"),
    }


def main(what: str, under: str) -> "dict[str, Any]":
    """Enrol the lock, or boot it and draw numbers."""
    setattr(generator, "urandom", repeating)  # noqa: B010  on a module that says it is a function of os
    store = Store(mount())
    if what == "enrol":
        identity.enrol(crypto, store, crypto.public("P-256", bytes(31) + b"\x07"), bytes.fromhex(under))
    own = identity.load(crypto, store)
    assert own is not None
    if what == "enrol":
        return {"identity": own.private.hex(), "reader": own.reader_auth_private.hex(), "link": own.link[0].hex()}
    if under == "nothing":
        generator.begin(b"")
    return {kind: value.hex() for kind, value in everything(own, store).items()}


if __name__ == "__main__":
    print("\x02" + json.dumps(main(sys.argv[1], sys.argv[2])))
