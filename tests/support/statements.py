"""One statement of each kind, and the parser of its body."""

from typing import Any

from protocol.edge_pass import EdgePass
from protocol.grant import Grant
from protocol.listing_code import ListingCode
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.receipt import Receipt
from protocol.refusal import EQUIVOCATION, SIGNATURE, Refusal
from protocol.revocation_list import RevocationList
from protocol.signed_time import SignedTime
from protocol.trust import CRL, IDENTIFIER_LIST, STATUS_LIST, Issuer, ListEntry, TrustList
from sim.province import Keys
from sim.province.registry import PROFILES

KEYS = Keys.generate()
POINT = KEYS.sealing_public
LOCK = bytes(range(16))
KEY = {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}
FORMS: dict[str, Any] = {
    "placement": Placement(
        7, LOCK, "HZ-0001", "active", POINT, POINT, "CN", "1201", [b"\x30\x00", b"\x30\x01"], "named", 1
    ),
    "trust-list": TrustList(
        3,
        1_795_000_000,
        [
            Issuer(b"\x30\x00", ["org.iso.18013.5.1.mDL", "eu.europa.ec.eudi.pid.1"], 1_790_000_000, None),
            Issuer(b"\x30\x01", ["org.mooring.cn.resident-id.1"]),
        ],
        [
            ListEntry(1, CRL, 0),
            ListEntry(2, STATUS_LIST, 0, "https://iaca.example/status/1", KEY),
            ListEntry(8, IDENTIFIER_LIST, 1, "https://iaca.example/ids", {**KEY, -1: -65537}),
        ],
    ),
    "revocation-list": RevocationList(7, 2, b"\x30\x00"),
    "time": SignedTime(bytes(16), 1_795_000_000, LOCK),
    "receipt": Receipt(LOCK, 41, bytes(32), 1_795_000_000),
    "refusal": Refusal(LOCK, 1_795_000_000, [(7, bytes(32), EQUIVOCATION), (9, b"\x01" * 32, SIGNATURE)]),
    "grant": Grant(
        bytes(16),
        1,
        "HZ-0001",
        1_795_000_000,
        1_795_086_400,
        2,
        [bytes(32), b"\x01" * 32],
        False,
        1_795_090_000,
        bytes(4),
    ),
    "edge-pass": EdgePass(1_795_000_000, "edge-1", POINT, 1_797_592_000, [LOCK]),
    "listing-code": ListingCode("HZ-0001", "West Lake Lane 12", 1, "HTTPS://CODE.EXAMPLE/L/", 1_795_000_000),
}
BODIES: dict[str, dict[Any, Any]] = {**{kind: form.body() for kind, form in FORMS.items()}, "profile": PROFILES["CN"]}
PARSERS = {**{kind: type(form).parse for kind, form in FORMS.items()}, "profile": Profile.parse}
