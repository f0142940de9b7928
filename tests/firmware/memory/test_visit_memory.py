"""Measures the longest piece of heap that the lock asks for when statements come from the edge, and when guests join a
stay. Taps are measured in tests/firmware/mdoc_reader/test_tap_memory.py.

The heap is cut up, so that no free block is longer than a given length. Then the lock's own interpreter shows whether
a longer piece is needed.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

from firmware.memory import identity
from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.grant import MAX_GUESTS, Grant
from protocol.link import PIECE_BYTES
from protocol.placement import Placement
from protocol.trust import Issuer
from sim import pki
from tests.support.on_lock import run_on_lock
from tests.support.revocation_bench import DOC_TYPE, IACA, NOW, OTHER, PROVINCE, Bench

PLATFORM = crypto.generate("P-256")

SHORT = 2048
"""Maximum length of a piece in bytes, for a placement, for a grant with the most guests, and for up to 29 guests who
have checked in."""
FULL_STAY = 2304
"""The same for a stay in which the most guests have checked in. A guest has 69 bytes."""

_ON_LOCK = """
import asyncio, gc
from firmware import RUN_THRESHOLD, crypto
from firmware.link.conversation import Conversation
from firmware.lock import Lock
from firmware.memory import identity
from firmware.memory.stays import Guest
from firmware.memory.store import Store
from protocol import cbor
from sim.board.memory_flash import MemoryFlash
store = Store(given["folder"])
lock = Lock(crypto, store, identity.load(crypto, store), MemoryFlash(4), print)
partial, results = [], []
litter = [None] * 1500
gc.threshold(RUN_THRESHOLD)  # as when the lock is ready

class Told(Conversation):
    async def _send(self, message):
        item = cbor.decode(message)
        if item[0] == 3:  # RESULT
            results.append(item[1:])

talk = Told(lock, None, 1, 2, partial)

def clear():
    for at in range(len(litter)):
        litter[at] = None
    lock.visits.make_room()

def cut(longest):
    place = whole = at = 0
    try:
        while True:  # between two long pieces is a short one
            litter[place] = bytearray(256 if place & 1 else longest)
            place += 1
    except MemoryError:
        pass
    whole = place
    try:
        while True:
            litter[place] = bytearray(256)
            place += 1
    except MemoryError:
        pass
    for at in range(0, whole, 2):
        litter[at] = None
    gc.collect()
    try:
        while True:
            litter[place] = bytearray(longest + 64)  # use up all longer blocks
            place += 1
    except MemoryError:
        pass

most = 0

async def bring(path, digest, size, piece):
    global most
    with open(path, "rb") as file:
        if size <= given["whole"]:
            await talk._take_statement(file.read(size))
            return
        await talk._take_offer(digest, size)
        while size > 0:
            await talk._take_piece(file.read(min(size, piece)))
            most = max(most, len(partial) - 3)  # a digest and two numbers are no pieces
            size -= piece

def join(first, last):
    for number in range(first, last + 1):
        guest = Guest.of(bytes([number]) * 32, True, True)
        lock.stays.record(number, cbor.encode([1, given["grant"].encode(), guest.pack()]))

cut(given["longest"])
for what, arguments in given["steps"]:
    if what == "bring":
        path, digest, size, piece = arguments
        asyncio.run(bring(path, bytes.fromhex(digest), size, piece))
        continue
    if what == "free":
        clear()
        continue
    code = None
    try:
        join(*arguments)
        lock.stays.checkpoint()
        lock.hello().encode()
    except MemoryError:
        code = "no memory"
    results.append(["join", code])
clear()
answer([results, most])
"""


class Steps:
    """What the lock does, step by step, on a heap whose longest free blocks have `longest` bytes."""

    def __init__(self, folder: Path, longest: int) -> None:
        self._folder = folder
        self._longest = longest
        self._steps: list[tuple[str, list[Any]]] = []
        self.most_pieces = 0
        """The most pieces of a statement that the lock kept apart."""

    def bring(self, signed: bytes, piece: int = PIECE_BYTES) -> None:
        """An edge brings the statement `signed`. If it is long, it comes in pieces of `piece` bytes."""
        path = self._folder / f"{len(self._steps)}.statement"
        path.write_bytes(signed)
        self._steps.append(("bring", [str(path), sha256(signed).hexdigest(), len(signed), piece]))

    def join(self, first: int, last: int) -> None:
        """The guests with these numbers join the stay. Then the lock writes its stays and makes a HELLO."""
        self._steps.append(("join", [first, last]))

    def free(self) -> None:
        """From now on, the heap has long free blocks."""
        self._steps.append(("free", []))

    def run(self) -> Any:
        """Return the result of each step: what it was, and the code of its failure or None."""
        given = {"folder": str(self._folder), "whole": PIECE_BYTES, "grant": "G" * 16}
        results, self.most_pieces = run_on_lock(_ON_LOCK, {**given, "longest": self._longest, "steps": self._steps})
        return results


def _placement(bench: Bench) -> bytes:
    own = identity.load(crypto, bench.store)
    assert own is not None
    form = Placement(1, own.lock_id, "HZ-1", "active", PLATFORM[1], PLATFORM[1], "CN", "302", [b"c"], "named", 1)
    return statement.sign(crypto, PROVINCE[0], "placement", form.body())


def _grant(serial: int, guests: int = MAX_GUESTS) -> bytes:
    names = [bytes([number]) * 32 for number in range(1, guests + 1)]
    form = Grant(b"G" * 16, serial, "HZ-1", NOW, NOW + 86400, guests, names, False, NOW + 86400, bytes(2 * len(names)))
    return statement.sign(crypto, PLATFORM[0], "grant", form.body())


def test_a_grant_and_29_guests_who_join_need_no_long_piece(tmp_path: Path) -> None:
    bench, steps = Bench(tmp_path), Steps(tmp_path, SHORT)
    assert len(_grant(1)) > PIECE_BYTES, "the grant comes in pieces"
    steps.bring(_placement(bench))
    steps.bring(_grant(1))
    steps.join(1, 29)
    steps.bring(_grant(2), piece=7)
    assert steps.run() == [["placement", None], ["grant", None], ["join", None], ["grant", None]]
    assert steps.most_pieces == 2, "the small pieces are joined to pieces of at most PIECE_BYTES"


def test_a_stay_in_which_everybody_has_checked_in_needs_little_more(tmp_path: Path) -> None:
    bench, steps = Bench(tmp_path), Steps(tmp_path, FULL_STAY)
    steps.bring(_placement(bench))
    steps.bring(_grant(1))
    steps.join(1, MAX_GUESTS)
    steps.bring(_grant(2))
    assert steps.run() == [["placement", None], ["grant", None], ["join", None], ["grant", None]]


def _trust_list(bench: Bench, folder: Path) -> bytes:
    """Return a trust list that is longer than SHORT. Nothing of it stays in flash."""
    issuers = [Issuer(IACA.der, [DOC_TYPE]), Issuer(OTHER.der, [DOC_TYPE])]
    for number in range(3):
        issuers.append(Issuer(pki.authority(f"IACA {number} of a province", "SE").der, [DOC_TYPE]))
    assert bench.trusting(issuers=issuers) is None
    found = bench.store.read("trust-list") or b""
    for name in "trust-list", "verified":
        (folder / name).unlink()
    assert len(found) > SHORT
    return found


def test_a_long_statement_without_a_long_block_is_refused_and_taken_when_there_is_one(tmp_path: Path) -> None:
    bench, steps = Bench(tmp_path), Steps(tmp_path, SHORT)
    trust_list = _trust_list(bench, tmp_path)
    steps.bring(trust_list)
    steps.free()
    steps.bring(trust_list)
    assert steps.run() == [["?", "lock.memory"], ["trust-list", None]]
