"""Hashes and verifications leave few objects on the lock's heap, counted on MicroPython's unix port.

MicroPython prints a map of its heap. In this map, each object has one letter. Objects that are freed at once are not
counted here. The measurement on RV32 counts these too (docs/performance.md).
"""

import re

from tests.support.on_lock import printed_on_lock

LIMIT = 200

LEFT = """
import gc, micropython
from firmware import crypto

def left(name, call):
    call()
    gc.collect()
    gc.disable()
    print("\\x03" + name)
    micropython.mem_info(1)
    print("\\x04")
    call()
    micropython.mem_info(1)
    gc.enable()
"""

HASHES = """
from firmware.crypto import sha512
data = bytes(3072)
for name in ("SHA-384", "SHA-512", "SM3"):
    left(name, lambda: crypto.digest(name, data))
left("portable", lambda: sha512.absorb_portably(bytearray(64), bytearray(), bytes(640), data, 2, 0))
"""

IMAGE = """
import sys
real = sys

class System:
    class implementation:
        name = "micropython"
        _build = "MOORING_C6"

    def __getattr__(self, name):
        return getattr(real, name)

class Assembler:
    def run(self, block, program, script, length):
        for slot in (19, 20, 21, 22):
            block[256 + slot * block[0]] = 7

    def write_windows(self, *given):
        from firmware.crypto.field import write_windows
        write_windows(*given)

    def write_digits(self, *given):
        from firmware.crypto.field import write_digits
        write_digits(*given)

sys.modules["sys"] = System()
sys.modules["firmware.crypto.field_rv32"] = Assembler()
"""
"""Code to put first. It gives the interpreter the name of our own image, and a stand-in for the assembler. The stand-in
leaves a 7 where results are read. So no signature is valid, but everything around the assembler runs as on our image.
"""

VERIFICATIONS = """
from firmware.crypto import curve, multiples
for name, hash_name in given.items():
    known = curve.find_curve(name)
    public = curve.encode_point(known, known.base)
    left(name, lambda: crypto.verify(name, public, hash_name, bytes(512), b"\\1" * 2 * known.size))
print("\\x05" + str(hasattr(multiples.prepare(known), "fill")))
"""
TABLE = """
from firmware.crypto import multiples
from firmware.crypto.curve import P256
left("portable", lambda: multiples.put_multiples(P256, multiples.prepare(P256), P256.base))
"""
CURVES = {"P-256": "SHA-256", "P-384": "SHA-384", "P-521": "SHA-512", "SM2": "SM3"}


def objects(printed: str) -> dict[str, int]:
    """Return how many objects each call has left, by the names that `left` printed."""
    found = {}
    for part in printed.split("\x03")[1:]:
        name, _, maps = part.partition("\n")
        before, after = (
            sum(len(re.sub("[.=]", "", row)) for row in re.findall(r"^[0-9a-f]+: ([^ ]+)", each.strip("\r"), re.M))
            for each in maps.split("\x04")
        )
        found[name.strip()] = after - before
    return found


def test_a_hash_leaves_few_objects_and_its_portable_form_many() -> None:
    left = objects(printed_on_lock(LEFT + HASHES))
    assert left.pop("portable") > LIMIT
    assert set(left) == {"SHA-384", "SHA-512", "SM3"} and all(0 < count < LIMIT for count in left.values()), left


def test_a_verification_leaves_few_objects_around_the_assembler_and_python_integers_leave_many() -> None:
    printed = printed_on_lock(IMAGE + LEFT + VERIFICATIONS, CURVES)
    assert printed.endswith("\x05True\n"), "another machine ran"
    left = objects(printed)
    assert set(left) == set(CURVES) and all(50 < count < LIMIT for count in left.values()), left
    assert objects(printed_on_lock(LEFT + TABLE))["portable"] > LIMIT
