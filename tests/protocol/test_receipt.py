"""Claims about the content of receipts. Nobody can change this content."""

import pytest

from protocol import crypto_cpython as crypto
from protocol import record, statement
from protocol.errors import FormatError, VerificationError
from protocol.receipt import Receipt
from sim.province import Keys
from tests.support.chain import NOW, Chain, check_in, entry

KEYS = Keys.generate()


def test_a_receipt_names_the_payload_hash_of_the_last_record_it_covers() -> None:
    chain = Chain(KEYS.sealing_public)
    for body in (check_in(), entry(), entry()):
        chain.append(body)
    last = record.parse(chain.records[2])
    form = Receipt(chain.lock_id, 3, last.payload_hash, NOW)
    data = statement.sign(crypto, KEYS.signing_private, "receipt", form.body())
    read = Receipt.parse(statement.open(crypto, data, "receipt", KEYS.signing_public))
    assert (read.lock_id, read.through, read.head, read.time) == (last.lock_id, 3, last.payload_hash, NOW)


def test_a_courier_cannot_make_a_receipt() -> None:
    courier, _ = crypto.generate("P-256")
    data = statement.sign(crypto, courier, "receipt", Receipt(bytes(16), 3, bytes(32), NOW).body())
    with pytest.raises(VerificationError) as caught:
        statement.open(crypto, data, "receipt", KEYS.signing_public)
    assert caught.value.code == "cose.signature"


@pytest.mark.parametrize("through", [0, -1, 2**53, True])
def test_a_receipt_covers_at_least_one_record_and_no_impossible_one(through: int) -> None:
    with pytest.raises(FormatError) as caught:
        Receipt(bytes(16), through, bytes(32), NOW).body()
    assert caught.value.code == "receipt.form"


def test_a_signature_altered_yet_still_good_leaves_the_chain_hash_as_it_is() -> None:
    # The signatures (r, s) and (r, n - s) are both good. A chain over signatures would fork at each such record.
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    chain = Chain(KEYS.sealing_public)
    good = chain.append(entry())
    s = int.from_bytes(good[-32:], "big")
    other = good[:-32] + (order - s).to_bytes(32, "big")
    assert record.verify(crypto, record.parse(other), chain.public).payload_hash == record.parse(good).payload_hash
