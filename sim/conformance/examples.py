"""The messages that docs/integration.md shows in hex. They are the same at each call, because nothing here is random.

The keys are hashes of their names, so anybody can make them. They are for examples only.
"""

import hashlib
from types import SimpleNamespace
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from protocol import crypto_cpython, placement, record, statement, uplink
from protocol.edge_pass import KIND as PASS
from protocol.edge_pass import EdgePass
from protocol.grant import Grant, commitment, commitment_key, mask_ties
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.refusal import EQUIVOCATION, Refusal
from protocol.signed_time import SignedTime
from protocol.stay_pin import stay_pin
from sim.conformance.platform import ADULT, identity
from sim.province.edges import PASS_SECONDS

NOW: Final = 1_800_000_000
LISTING: Final = "HZ-0001"
_WIDTH: Final = 64


def private(name: str) -> bytes:
    """Return the private key of this name."""
    return hashlib.sha256(b"mooring example " + name.encode()).digest()


def public(name: str) -> bytes:
    """Return the public key of this name."""
    return crypto_cpython.public("P-256", private(name))


def _sign(key: bytes, message: bytes) -> bytes:
    """Sign as RFC 6979 describes, so that a signature is the same at each call."""
    scalar = ec.derive_private_key(int.from_bytes(key, "big"), ec.SECP256R1())
    signature = scalar.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _crypto() -> Any:
    names = {name: value for name, value in vars(crypto_cpython).items() if not name.startswith("_")}
    pair = (private("encapsulation"), public("encapsulation"))
    return SimpleNamespace(**names | {"sign": _sign, "generate": lambda _curve: pair})


def messages() -> dict[str, tuple[str, bytes]]:
    """Return each example: its name, the topic's last part (empty for what is inside a message), and the bytes."""
    crypto: Any = _crypto()
    lock = public("lock")
    lock_id = placement.lock_id(crypto, lock)
    event = {record.KIND: record.BOOT, record.EARLIEST: NOW, record.LATEST: NOW + 2, record.LISTING_CODE: LISTING}
    event |= {record.PROFILE_ID: "CN", record.WHAT: "power-on", record.COUNT: 1}
    payload = record.seal(crypto, public("sealing"), lock_id, 1, record.GENESIS, event)
    first = record.sign(crypto, private("lock"), payload)
    head = record.payload_hash(payload)
    nonce = hashlib.sha256(b"nonce").digest()[:16]

    def province(kind: str, form: Any) -> bytes:
        return statement.sign(crypto, private("province"), kind, form.body())

    paper = Placement(
        *(1, lock_id, LISTING, placement.ACTIVE, public("platform"), public("sealing"), "CN", "1201"),
        *([b"\x30\x00"], placement.NAMED, 1),
    )
    told = EdgePass(NOW, "edge-1", public("edge"), NOW + PASS_SECONDS, [lock_id])
    refused = Refusal(lock_id, NOW + 10, [(1, hashlib.sha256(b"another payload").digest(), EQUIVOCATION)])
    receipt = province("receipt", Receipt(lock_id, 1, head, NOW + 10))
    stay, key = grant()
    del key
    return {
        "pass request": (uplink.UP, uplink.PassRequest(public("edge"), 0).encode()),
        "passes": (uplink.PASS, uplink.Passes([province(PASS, told)]).encode()),
        "lock seen": (uplink.UP, uplink.LockSeen(lock_id, lock, {}).encode()),
        "command with a placement": (uplink.CMD, uplink.Command(lock_id, [province("placement", paper)]).encode()),
        "time request": (uplink.UP, uplink.TimeRequest(lock_id, nonce).encode()),
        "command with the time": (
            uplink.CMD,
            uplink.Command(lock_id, [province("time", SignedTime(nonce, NOW + 10, lock_id))]).encode(),
        ),
        "batch of one record": (uplink.UP, uplink.Batch(bytes(range(8)), [first]).encode()),
        "receipt": (uplink.RECEIPT, uplink.Receipts([receipt]).encode()),
        "refusal": (uplink.RECEIPT, uplink.Receipts([province("refusal", refused)]).encode()),
        "command with a grant": (uplink.CMD, uplink.Command(lock_id, [stay]).encode()),
        "state": (uplink.STATE, uplink.state(True, "0.2.0")),
    }


def grant() -> tuple[bytes, str]:
    """Return the example of a grant, and the PIN of its guest."""
    crypto: Any = _crypto()
    key = commitment_key(crypto, private("platform"), public("lock"))
    grant_id = hashlib.sha256(b"stay").digest()[:16]
    named = [commitment(crypto, key, grant_id, identity(ADULT, 1))]
    ties = mask_ties(crypto, key, grant_id, 1, named, [(0, "unstated")])
    form = Grant(grant_id, 1, LISTING, NOW, NOW + 259_200, 1, named, False, NOW + 259_200, ties)
    return statement.sign(crypto, private("platform"), "grant", form.body()), stay_pin(crypto, key, grant_id, named[0])


def page() -> str:
    """Return all examples as the part of docs/integration.md that shows them."""
    lines = ["| key | private | public |", "| --- | --- | --- |"]
    for name in ("province", "sealing", "lock", "edge", "platform", "encapsulation"):
        lines.append(f"| {name} | `{private(name).hex()}` | `{public(name).hex()}` |")
    for name, (leaf, data) in messages().items():
        text = data.hex()
        rows = [text[at : at + 2 * _WIDTH] for at in range(0, len(text), 2 * _WIDTH)]
        lines += ["", f"{name.capitalize()}, on `{leaf}`, {len(data)} bytes:", "", "```text", *rows, "```"]
    lines += ["", f"The PIN of the guest in that grant is `{grant()[1]}`."]
    return "\n".join(lines) + "\n"
