"""Measures the heap that a first check-in needs on the lock's own interpreter: all that is allocated, and the longest
piece.

A phone answers once on CPython. Then the lock reads the recorded answers, with the same session key. The arithmetic of
the curves is measured elsewhere. So a collection follows each call of this arithmetic, and the call is not counted
here.
"""

import asyncio
import time
from typing import Any

from firmware.mdoc_reader.reader import MAX_ENCRYPTED_RESPONSE
from firmware.mdoc_reader.response_buffer import SIZE
from protocol import crypto_cpython as crypto
from protocol.profile import Profile
from sim import issuer
from sim.phone.applet import Habits
from sim.province.registry import PROFILES
from tests.support import tap
from tests.support.on_lock import run_on_lock

MOST_BYTES = 180_000
"""Maximum number of bytes for one first check-in, without the curves. Objects are about 1.57 times as large here as on
the chip."""

LONGEST_PIECE = 2048
"""Maximum length of a piece of heap, in bytes. Pieces that are allocated at boot may be longer."""

ONE_TYPE = {issuer.MDL: tap.ITEMS[issuer.MDL]}
_CN = Profile.parse(PROFILES["CN"])
ALL_TYPES = _CN.request([doc_type for types in _CN.requests for doc_type in types])

_SETUP = """
import asyncio, gc
from firmware import crypto
from firmware.mdoc_reader.reader import Reading
from firmware.mdoc_reader.response_buffer import ResponseBuffer
from protocol import record
from protocol.errors import MooringError
from protocol.mdoc.chain import TrustRoot
from protocol.mdoc.verifier import verify

class Replay:
    max_command = max_response = 4096
    def __init__(self, responses):
        self.responses = [bytes.fromhex(each) for each in responses]
        self.at = 0
    async def transceive(self, command, timeout_ms=0, sink=None):
        response = self.responses[self.at]  # kept, because its end would leave a free block
        self.at += 1
        if sink is None:
            return response
        for at in range(0, len(response) - 2, 200):
            sink.extend(memoryview(response)[at : min(at + 200, len(response) - 2)])
        return response[-2:]
    def pass_over(self):
        pass
    async def release(self):
        pass

class Counting:
    CURVES = "ecdh", "verify", "sign", "generate"
    def __init__(self):
        self.counted = self.mark = 0
    def begin(self):
        gc.collect()
        gc.disable()
        self.mark = gc.mem_alloc()
    def end(self):
        self.counted += gc.mem_alloc() - self.mark
        gc.enable()
    def __getattr__(self, name):
        function = getattr(crypto, name)
        if name not in self.CURVES:
            return function
        def called(*arguments):
            self.end()
            try:
                return function(*arguments)
            finally:
                self.begin()
        return called

buffer = ResponseBuffer()
pair = bytes.fromhex(given["pair"][0]), bytes.fromhex(given["pair"][1])
private, public = crypto.generate("P-256")
crypto.verify("P-256", public, "SHA-256", b"", crypto.sign(private, b""))
chain = [bytes.fromhex(der) for der in given["chain"]]
roots = [TrustRoot(bytes.fromhex(given["root"]))]
prepared = record.hpke.encapsulate(crypto, public)
cards = [Replay(each) for each in given["taps"]]

async def check_in(used, card):
    reading = Reading(card, used, lambda curve: pair, lambda event, **facts: None, None, buffer)
    try:
        return await check_in_by(used, reading)
    finally:
        await reading.close()

async def check_in_by(used, reading):
    shown = await reading.ask(given["items"], private, chain)
    found = verify(used, shown.device_response, shown.session_transcript, roots, given["now"], shown.e_reader_private)
    name = found[0].elements["org.iso.18013.5.1"]["family_name"]
    body = {record.KIND: record.CHECK_IN, record.EARLIEST: 1, record.LATEST: 2, record.LISTING_CODE: "330106-7K2M9Q"}
    body.update({record.PROFILE_ID: "CN", record.GRANT_ID: bytes(16), record.GUEST: 1, record.METHOD: "mdl"})
    body.update({record.OCCUPANCY: [1, 1, 1, 9], record.FIELDS: {"name": name}})
    payload = record.seal(used, public, bytes(16), 2, bytes(range(32)), body, prepared)
    record.sign(used, private, payload)
    return name
"""

_COUNT = (
    _SETUP
    + """
counting = Counting()
asyncio.run(check_in(crypto, cards.pop()))  # a first call loads modules
counting.begin()
name = asyncio.run(check_in(counting, cards.pop()))
counting.end()
answer([name, counting.counted])
"""
)

_CUT_UP = (
    _SETUP
    + """
asyncio.run(check_in(crypto, cards[0]))
gc.collect()
litter, longest = [None] * 1000, given["longest"]
place = whole = at = 0
names = None  # a new name would need room when there is none
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
names = []
for card in cards[1:]:
    try:
        names.append(asyncio.run(check_in(crypto, card)))
    except (MemoryError, MooringError) as error:
        names.append(getattr(error, "code", "no memory"))
try:
    ResponseBuffer()
    names.append("a longer piece")
except MemoryError:
    pass
answer(names)
"""
)


def _given(*habits: Habits, items: tap.Items = ONE_TYPE) -> dict[str, Any]:
    """Return what the lock needs to repeat taps with phones that have these habits. The lock asks for `items`."""
    pair = crypto.generate("P-256")
    taps = []
    for each in habits:
        _, card = tap.touch(tap.phone(habits=each))
        asyncio.run(tap.read_mdoc(card, items, ephemeral=lambda curve: pair))
        taps.append([response.hex() for _, response in card.exchanges])
    now = int(time.time()) + 60
    return {
        "pair": [part.hex() for part in pair],
        "chain": [der.hex() for der in tap.reader_chain()],
        "root": tap.iaca(issuer.MDL).der.hex(),
        "items": items,
        "taps": taps,
        "now": [now, now],
        "longest": LONGEST_PIECE,
    }


SHORT = Habits(max_command=255, max_response=256)


def test_a_first_check_in_allocates_little() -> None:
    name, counted = run_on_lock(_COUNT, _given(Habits(), Habits()))
    assert name == "Lindqvist"
    assert 0 < counted < MOST_BYTES


def test_a_check_in_needs_no_long_piece_of_heap() -> None:
    names = run_on_lock(_CUT_UP, _given(Habits(), SHORT, Habits()))
    assert names == ["Lindqvist"] * 2, "two check-ins, and no room for a longer piece"


def _stuffed(size: int, responses: list[str]) -> list[str]:
    """Return `responses` with `size` bytes as the answer to the request. The last response answers the farewell."""
    head = b"\x53\x82" + (size - 4).to_bytes(2, "big")
    return [*responses[:-2], head.hex() + "00" * (size - 4) + "9000", responses[-1]]


def test_a_phone_that_fills_the_memory_for_its_answer_costs_its_own_tap_alone() -> None:
    given = _given(Habits(), Habits())
    first, later = given["taps"]
    # The reserved bytes are full; then one byte more arrives; then as many as a phone may send.
    stuffed = [_stuffed(size, first) for size in (SIZE, SIZE + 1, MAX_ENCRYPTED_RESPONSE)]
    given["taps"] = [first, *stuffed, later]
    names = run_on_lock(_CUT_UP, given)
    assert names == ["cbor.trailing", "no memory", "no memory", "Lindqvist"]


def test_the_longest_request_needs_no_long_piece_either() -> None:
    names = run_on_lock(_CUT_UP, _given(Habits(), SHORT, Habits(), items=ALL_TYPES))
    assert len(ALL_TYPES) == 5 and names == ["Lindqvist"] * 2
