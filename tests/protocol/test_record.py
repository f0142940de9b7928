"""Records are sealed to one reader, signed by one lock and bound to one place in the chain, on both runtimes."""

import base64
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey, KEMKeyInterface
from pyhpke.exceptions import OpenError

from protocol import cbor, cose, hpke, record
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, MooringError, VerificationError
from sim.province import Keys
from tests.support.chain import NOW, Chain, check_in, entry, event
from tests.support.on_lock import run_on_lock

KEYS = Keys.generate()
CHAIN = Chain(KEYS.sealing_public)
for _body in (check_in(), entry(), check_in(name="李娜", sex="female", id_number="330106199003070022")):
    CHAIN.append(_body)
FIRST, SECOND = (record.parse(data) for data in CHAIN.records[:2])

SUITE = CipherSuite.new(KEMId.DHKEM_P256_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)


def opened(item: record.Record | bytes) -> dict[Any, Any]:
    parsed = item if isinstance(item, record.Record) else record.parse(item)
    return record.open_body(crypto, parsed, KEYS.sealing_private)


def verified(data: bytes, public: bytes) -> record.Record:
    return record.verify(crypto, record.parse(data), public)


def resigned(payload: list[Any]) -> bytes:
    """Sign any payload as a record with the lock's key, as a faulty or hostile lock could do."""
    return record.sign(crypto, CHAIN.private, cbor.encode(payload))


# --- the chain -------------------------------------------------------------------------------------------------------


def test_records_open_at_the_province_as_the_lock_wrote_them() -> None:
    bodies = [opened(verified(data, CHAIN.public)) for data in CHAIN.records]
    assert bodies[0] == check_in() and bodies[1] == entry()


def test_each_record_names_the_payload_of_the_one_before() -> None:
    parsed = [record.parse(data) for data in CHAIN.records]
    assert parsed[0].previous == record.GENESIS
    assert [item.counter for item in parsed] == [1, 2, 3]
    assert [item.previous for item in parsed[1:]] == [item.payload_hash for item in parsed[:-1]]
    assert [record.head(data) for data in CHAIN.records] == [item.payload_hash for item in parsed]


@pytest.mark.parametrize("item", [0, "four", [b"", {}, b""], [b"", {}, "text", b""], {0: 0, 1: 1, 2: b"", 3: 3}])
def test_what_has_no_payload_has_no_head_and_is_refused_in_order(item: Any) -> None:
    with pytest.raises(FormatError, match=r"record\.form"):
        record.head(cbor.encode(item))


def test_only_the_first_record_follows_nothing() -> None:
    for counter, previous in ((1, b"\x01" * 32), (2, record.GENESIS)):
        with pytest.raises(FormatError) as caught:
            record.parse(resigned([1, CHAIN.lock_id, counter, previous, FIRST.sealed]))
        assert caught.value.code == "record.form"


# --- who signed, and where it belongs --------------------------------------------------------------------------------


def test_a_record_of_another_lock_is_rejected() -> None:
    other = Chain(KEYS.sealing_public)
    with pytest.raises(VerificationError) as caught:
        verified(CHAIN.records[0], other.public)
    assert caught.value.code == "record.lock"


def test_a_record_that_borrows_a_lock_id_is_rejected() -> None:
    stranger, _ = crypto.generate("P-256")
    with pytest.raises(VerificationError) as caught:
        verified(record.sign(crypto, stranger, FIRST.payload), CHAIN.public)
    assert caught.value.code == "cose.signature"


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_altered_header_is_rejected_by_the_signature_and_by_the_seal(at: int) -> None:
    payload = cbor.decode(SECOND.payload)
    payload[at] = 9 if at == 2 else bytes(len(payload[at]) - 1) + b"\x07"
    forged = cbor.encode([cbor.decode(SECOND.raw)[0], {}, cbor.encode(payload), SECOND.signature])
    if at != 1:
        with pytest.raises(VerificationError) as caught:
            verified(forged, CHAIN.public)
        assert caught.value.code == "cose.signature"
    # Even if the lock's own key signs the moved record, the body does not open in a different place.
    with pytest.raises(VerificationError) as caught:
        opened(resigned(payload))
    assert caught.value.code == "crypto.tag"


def test_a_sealed_body_moved_to_another_record_does_not_open() -> None:
    moved = resigned([1, CHAIN.lock_id, 2, SECOND.previous, FIRST.sealed])
    verified(moved, CHAIN.public)
    with pytest.raises(VerificationError) as caught:
        opened(moved)
    assert caught.value.code == "crypto.tag"


def test_an_altered_ciphertext_is_rejected() -> None:
    for at in range(len(FIRST.sealed) - 150, len(FIRST.sealed), 10):
        sealed = FIRST.sealed[:at] + bytes((FIRST.sealed[at] ^ 1,)) + FIRST.sealed[at + 1 :]
        with pytest.raises(VerificationError) as caught:
            opened(resigned([1, CHAIN.lock_id, 1, record.GENESIS, sealed]))
        assert caught.value.code == "crypto.tag"


def test_only_the_sealing_key_opens_a_body() -> None:
    for private in (CHAIN.private, KEYS.signing_private, crypto.generate("P-256")[0]):
        with pytest.raises(VerificationError) as caught:
            record.open_body(crypto, FIRST, private)
        assert caught.value.code == "crypto.tag"


def test_a_statement_does_not_pass_as_a_record() -> None:
    data = cbor.encode(cose.sign1(crypto, CHAIN.private, FIRST.payload, {cose.TYP: "mooring/receipt"}))
    with pytest.raises(FormatError) as caught:
        record.parse(data)
    assert caught.value.code == "record.form"


# --- form ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [CHAIN.records[0] + b"\x00", CHAIN.records[0][:-1], b"", b"\xd2" + CHAIN.records[0]])
def test_trailing_missing_and_tagged_bytes_are_rejected(data: bytes) -> None:
    with pytest.raises(FormatError):
        record.parse(data)


@pytest.mark.parametrize(
    "payload",
    [
        [2, CHAIN.lock_id, 1, record.GENESIS, b""],
        [True, CHAIN.lock_id, 1, record.GENESIS, b""],
        [1, CHAIN.lock_id[:15], 1, record.GENESIS, b""],
        [1, CHAIN.lock_id, 0, record.GENESIS, b""],
        [1, CHAIN.lock_id, 1, record.GENESIS[:31], b""],
        [1, CHAIN.lock_id, 1, record.GENESIS, None],
        [1, CHAIN.lock_id, 1, record.GENESIS],
        [1, CHAIN.lock_id, 1, record.GENESIS, b"", 0],
    ],
)
def test_a_payload_of_another_form_is_rejected(payload: list[Any]) -> None:
    with pytest.raises(FormatError) as caught:
        record.parse(resigned(payload))
    assert caught.value.code == "record.form"


def test_a_counter_beyond_the_bound_of_numbers_is_rejected() -> None:
    assert record.parse(resigned([1, CHAIN.lock_id, 2**53 - 1, b"\x01" * 32, b""])).counter == 2**53 - 1
    with pytest.raises(FormatError) as caught:
        record.parse(resigned([1, CHAIN.lock_id, 2**53, b"\x01" * 32, b""]))
    assert caught.value.code == "cbor.range"


def test_a_longer_record_than_any_is_rejected_unread() -> None:
    with pytest.raises(FormatError) as caught:
        record.parse(bytes(record.MAX_BYTES + 1))
    assert caught.value.code == "record.form"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises(MooringError):
        record.parse(data)


@settings(max_examples=100)
@given(at=st.integers(0, len(CHAIN.records[0]) - 1), bit=st.integers(0, 7))
def test_no_single_bit_can_be_turned(at: int, bit: int) -> None:
    good = CHAIN.records[0]
    with pytest.raises(MooringError):
        verified(good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :], CHAIN.public)


@pytest.mark.parametrize(
    "changed",
    [
        {1: 3},
        {1: 99},
        {1: True},
        {1: None},
        {1: [1]},
        {2: -1},
        {2: None},
        {3: 5},
        {4: ""},
        {5: bytes(15)},
        {6: 0},
        {7: None},
        {8: {}},
        {8: {"name": 1}},
        {8: {1: "name"}},
        {8: {"name": "x" * 513}},
        {9: b"mdoc"},
        {10: 0},
        {0: b""},
    ],
)
def test_a_body_of_another_form_is_never_sealed(changed: dict[int, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        CHAIN.payload({**check_in(), **changed}, 1, record.GENESIS)
    assert caught.value.code == "record.form"


@pytest.mark.parametrize(
    "occupancy",
    [
        *(None, [], [2, 1, 1], [2, 1, 1, NOW, 0], {}, "2111"),
        *([0, 1, 1, NOW], [2, -1, 1, NOW], [2, 1, 0, NOW], [2, 1, 1, 0], [2, 1, True, NOW], [2, None, 1, NOW]),
    ],
)
def test_a_check_in_says_how_many_stay_or_is_never_sealed(occupancy: Any) -> None:
    with pytest.raises(FormatError):
        CHAIN.payload({**check_in(), 12: occupancy}, 1, record.GENESIS)
    if occupancy is not None:
        with pytest.raises(FormatError):
            CHAIN.payload({**entry(), 12: occupancy}, 1, record.GENESIS)


def test_entries_of_a_stay_that_the_lock_knows_no_more_leave_occupancy_open() -> None:
    for body in ({**entry(), 12: None}, {**entry(), 12: [2, 0, 9, NOW]}):
        assert opened(CHAIN.sign(CHAIN.payload(body, 1, record.GENESIS))) == body


def test_an_entry_never_carries_fields_and_a_check_in_never_lacks_them() -> None:
    with pytest.raises(FormatError):
        CHAIN.payload({**check_in(), 1: record.ENTRY}, 1, record.GENESIS)
    with pytest.raises(FormatError):
        CHAIN.payload({**entry(), 1: record.CHECK_IN}, 1, record.GENESIS)


@pytest.mark.parametrize(
    "changed",
    [
        *({1: kind} for kind in (record.CHECK_IN, record.ENTRY, record.DOOR, 9)),
        *({10: what} for what in ("mdoc.digest", "forced", "", None, 1)),
        *({11: count} for count in (0, -1, None, True)),
        {2: NOW + 1},
        {5: bytes(16)},
        {6: 1},
        {8: {"name": "somebody"}},
        {9: "mdoc"},
    ],
)
def test_an_event_of_another_form_is_never_sealed_and_has_no_place_for_a_guest(changed: dict[int, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        CHAIN.payload({**event(record.REFUSAL, "stranger"), **changed}, 1, record.GENESIS)
    assert caught.value.code == "record.form"


def test_every_event_opens_at_the_province_as_the_lock_wrote_it() -> None:
    for kind, whats in record.EVENTS.items():
        for what in whats:
            assert opened(CHAIN.sign(CHAIN.payload(event(kind, what, 7), 1, record.GENESIS))) == event(kind, what, 7)


def test_only_entries_that_were_counted_may_leave_open_whose_they_were() -> None:
    # This rule also holds for a single entry, because the tally counts entries without telling guests apart.
    for together in ({**entry(), 6: None, 11: 40}, {**entry(), 6: None, 11: 1}):
        assert opened(CHAIN.sign(CHAIN.payload(together, 1, record.GENESIS))) == together
    with pytest.raises(FormatError):
        CHAIN.payload({**check_in(), 6: None}, 1, record.GENESIS)


def test_a_body_that_is_not_padded_or_padded_with_something_is_rejected() -> None:
    def sealed_as_is(plaintext: bytes) -> bytes:
        protected = cbor.encode({cose.ALG: cose.HPKE_P256_AES128})
        aad = cose.enc_structure(protected, cbor.encode([1, CHAIN.lock_id, 1, record.GENESIS]))
        enc, ciphertext = hpke.seal(crypto, KEYS.sealing_public, b"mooring/record", aad, plaintext)
        return resigned([1, CHAIN.lock_id, 1, record.GENESIS, cbor.encode([protected, {cose.EK: enc}, ciphertext])])

    bare = cbor.encode(entry())
    telling = bare + b"\x80" + b"\x01" * (record.BLOCK - 1 - len(bare))
    short = bare + b"\x80" + bytes(63)
    for plaintext in (bare, telling, short, bytes(record.BLOCK), b"", b"\xf6"):
        with pytest.raises(FormatError):
            opened(sealed_as_is(plaintext))


def length(body: dict[Any, Any]) -> int:
    """Return the length of a record with this body. The place of the record in the chain is always the same."""
    return len(CHAIN.sign(CHAIN.payload(body, 2, FIRST.payload_hash)))


def test_a_length_does_not_tell_a_check_in_from_an_entry_or_an_event() -> None:
    events = [event(kind, what, 1000) for kind, whats in record.EVENTS.items() for what in whats]
    foreign = check_in(name="Maria Antonia Fernandez de la Vega", nationality="ESP", ethnicity="", address="x" * 120)
    bodies = [check_in(), foreign, entry(), *events]
    assert len({length(body) for body in bodies}) == 1


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=400))
def test_bodies_are_padded_to_whole_blocks_whatever_their_length(name: str) -> None:
    data = CHAIN.sign(CHAIN.payload(check_in(name=name), 1, record.GENESIS))
    ciphertext = cbor.decode(record.parse(data).sealed)[2]
    assert (len(ciphertext) - 16) % record.BLOCK == 0
    assert len(ciphertext) - 16 - len(cbor.encode(check_in(name=name))) <= record.BLOCK
    assert opened(data) == check_in(name=name)


# --- the two runtimes, and a library that is not ours ----------------------------------------------------------------

_ON_LOCK = """
import firmware.crypto as crypto
from protocol import hpke, placement, record
sealing = bytes.fromhex(given["sealing"])
private, public = crypto.generate("P-256")
lock = placement.lock_id(crypto, public)
previous, records = record.GENESIS, []
for counter, fields in enumerate(given["fields"], 1):
    body = {1: 1, 2: 100, 3: 160, 4: "HZ-0001", 5: bytes(16), 6: counter, 7: "CN", 8: fields, 9: "mdoc",
            12: [2, 1, 1, 900]}
    idle = hpke.encapsulate(crypto, sealing) if counter % 2 else None
    payload = record.seal(crypto, sealing, lock, counter, previous, body, idle)
    previous = record.payload_hash(payload)
    records.append(record.sign(crypto, private, payload).hex())
answer({"public": public.hex(), "records": records})
"""


def test_a_record_sealed_on_the_lock_opens_with_an_independent_library() -> None:
    fields = [{"name": "王小明", "sex": "male"}, {"name": "Ada Lovelace", "address": "x" * 70}]
    answer = run_on_lock(_ON_LOCK, {"sealing": KEYS.sealing_public.hex(), "fields": fields})
    for counter, text in enumerate(answer["records"], 1):
        data = bytes.fromhex(text)
        # Here other libraries do the work. cbor2 reads, `cryptography` (through crypto_cpython) verifies, and pyhpke
        # opens.
        protected, unprotected, payload, signature = cbor2.loads(data)
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        assert unprotected == {} and cbor2.loads(protected) == {1: -7, 16: "mooring/record"}
        assert crypto.verify("P-256", bytes.fromhex(answer["public"]), "SHA-256", signed, signature)
        version, lock_id, number, previous, sealed = cbor2.loads(payload)
        assert (version, number) == (1, counter)
        sealed_protected, headers, ciphertext = cbor2.loads(sealed)
        assert cbor2.loads(sealed_protected) == {1: 35}
        place = cbor2.dumps([1, lock_id, number, previous])
        aad = cbor2.dumps(["Encrypt0", sealed_protected, place])
        recipient = SUITE.create_recipient_context(headers[-4], _key(), info=b"mooring/record")
        assert cbor2.loads(recipient.open(ciphertext, aad))[8] == fields[counter - 1]
        wrong_aad = cbor2.dumps(["Encrypt0", sealed_protected, cbor2.dumps([1, lock_id, number + 1, previous])])
        for altered, additional in ((ciphertext[:-1] + bytes((ciphertext[-1] ^ 1,)), aad), (ciphertext, wrong_aad)):
            recipient = SUITE.create_recipient_context(headers[-4], _key(), info=b"mooring/record")
            with pytest.raises(OpenError):
                recipient.open(altered, additional)


def test_the_lock_chains_and_opens_as_we_do_and_rejects_what_we_reject() -> None:
    answer = run_on_lock(_ON_LOCK, {"sealing": KEYS.sealing_public.hex(), "fields": [{"name": "A"}, {"name": "B"}]})
    parsed = [verified(bytes.fromhex(data), bytes.fromhex(answer["public"])) for data in answer["records"]]
    assert parsed[1].previous == parsed[0].payload_hash
    assert [opened(item)[8] for item in parsed] == [{"name": "A"}, {"name": "B"}]
    good = CHAIN.records[0]
    cases = [good, good + b"\x00", good[:-1], good[:-1] + bytes((good[-1] ^ 1,)), CHAIN.sign(SECOND.payload)]
    moved = resigned([1, CHAIN.lock_id, 2, SECOND.previous, FIRST.sealed])
    codes = run_on_lock(
        """
import firmware.crypto as crypto
from protocol import record
from protocol.errors import MooringError
public, sealing = bytes.fromhex(given["public"]), bytes.fromhex(given["sealing"])
def code(text):
    try:
        record.open_body(crypto, record.verify(crypto, record.parse(bytes.fromhex(text)), public), sealing)
    except MooringError as error:
        return error.code
    return None
answer([code(text) for text in given["cases"]])
""",
        {
            "public": CHAIN.public.hex(),
            "sealing": KEYS.sealing_private.hex(),
            "cases": [data.hex() for data in [*cases, moved]],
        },
    )
    assert codes == [None, "cbor.trailing", "cbor.truncated", "cose.signature", None, "crypto.tag"]


def _key() -> KEMKeyInterface:
    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    public = KEYS.sealing_public
    return KEMKey.from_jwk(
        {"kty": "EC", "crv": "P-256", "x": text(public[1:33]), "y": text(public[33:]), "d": text(KEYS.sealing_private)}
    )
