"""Revocation lists on the lock's own interpreter and heap. The lists are taken, refused and searched as on CPython."""

from pathlib import Path
from typing import Any

from cryptography import x509

from sim import revocation
from tests.support.on_lock import run_on_lock
from tests.support.revocation_bench import (
    CRL,
    DAY,
    IDENTIFIERS,
    NOW,
    OTHER,
    SIGNER,
    STATUS,
    URI,
    Bench,
    a_million_documents,
    crl,
    identifiers,
    status,
)

ON_LOCK = """
import gc
from firmware import crypto
from firmware.memory import identity
from firmware.trust.trusted_statements import TrustedStatements
from firmware.memory.store import Store
from protocol import statement
from protocol.errors import MooringError
from protocol.mdoc.status import StatusReference
store = Store(given["folder"])
own = identity.load(crypto, store)
trusted = TrustedStatements(crypto, store, own)
def take(data):
    trusted.accept(statement.parse(data), now)
def code(call, *arguments):
    gc.collect()
    try:
        call(*arguments)
    except MooringError as error:
        return error.code
now = (given["now"], given["now"])
taken = []
for path in given["statements"]:
    with open(path, "rb") as file:
        taken.append(code(take, file.read()))
trusted = TrustedStatements(crypto, store, own)
def asked(serial, status):
    return code(trusted.revocation.check, trusted.roots[0], bytes.fromhex(serial), StatusReference(status))
answer({"taken": taken, "asked": [asked(*one) for one in given["asked"]], "serials": trusted.serials()})
"""


def test_the_lock_takes_and_asks_lists_as_cpython_does(tmp_path: Path) -> None:
    large, revoked, valid = a_million_documents()
    contents: list[tuple[int, bytes]] = [
        (STATUS, large),
        (CRL, crl(*range(2**120, 2**120 + 100))),
        (IDENTIFIERS, identifiers(*(number.to_bytes(16, "big") for number in range(200)))),
        (CRL, crl(by=OTHER)),
        (CRL, crl(extensions=[(x509.DeltaCRLIndicator(1), True)])),
        (CRL, crl(expires=NOW - 1)),
        (STATUS, status()[:-1]),
        (STATUS, b"\x81" * 4000),
        (STATUS, status({1: 1}, issued=NOW - DAY)),
        (STATUS, revocation.sign_token(SIGNER, {16: "application/statuslist+cwt"}, bomb())),
    ]
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here, there = Bench(tmp_path / "here"), Bench(tmp_path / "there")
    here.trusting()
    there.trusting()
    statements, expected = [], []
    for number, (slot, content) in enumerate(contents, 1):
        path = tmp_path / f"{number}.statement"
        path.write_bytes(here.signed(slot, content, number))
        statements.append(str(path))
        expected.append(here.take(path.read_bytes()))
    assert expected[:3] == [None] * 3 and None not in expected[3:]
    asked: list[tuple[str, Any]] = [
        ((2**120 + 99).to_bytes(16, "big").hex(), None),
        ("05", None),
        ("05", revocation.reference(URI, revoked)),
        ("05", revocation.reference(URI, valid)),
        ("05", revocation.reference(URI, 10**7)),
    ]
    answer = run_on_lock(
        ON_LOCK, {"folder": str(tmp_path / "there"), "now": NOW, "statements": statements, "asked": asked}
    )
    assert answer["taken"] == expected
    assert answer["asked"] == ["mdoc.ds_revoked", None, "mdoc.revoked", None, "mdoc.status_index"]
    assert answer["serials"] == here.trusted.serials()


def bomb() -> dict[int, Any]:
    """Return the claims of a list that inflates to three megabytes."""
    return {2: URI, 4: NOW + DAY, 6: NOW, 65533: {"bits": 1, "lst": revocation.pack({}, 3 * 8 * 10**6)}}


FULL = """
import gc
from firmware import crypto
from firmware.memory import identity
from firmware.lock import Lock
from firmware.memory.store import Store
from sim.board.memory_flash import MemoryFlash
store = Store(given["folder"])
lock = Lock(crypto, store, identity.load(crypto, store), MemoryFlash(4), print)
with open(given["statement"], "rb") as file:
    data = file.read()
hoard = []
def fill():
    try:
        while True:
            hoard.append(bytearray(512))
    except MemoryError:
        left = 12  # given back without anything that takes memory, a slice among it
        while left:
            hoard.pop()
            left -= 1
fill()
full = lock.deliver(data)
hoard.clear()
gc.collect()
answer([full, lock.deliver(data)])
"""


def test_a_statement_for_which_there_is_no_memory_is_refused_and_taken_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.trusting(issued_at=NOW)
    path = tmp_path / "large.statement"
    path.write_bytes(bench.signed(STATUS, a_million_documents()[0], 1))
    answer = run_on_lock(FULL, {"folder": str(tmp_path), "statement": str(path)})
    assert answer == [["revocation-list", "lock.memory"], ["revocation-list", None]]
