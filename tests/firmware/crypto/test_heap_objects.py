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
sha512.absorb = sha512.absorb_portably
left("portable", lambda: crypto.digest("SHA-512", data[:200]))
"""

# The assembler of the field machine cannot run here. The stand-in leaves a 7 where results are read. So no signature is
# valid, but everything around the assembler runs as on our own image.
VERIFICATIONS = """
import sys
from firmware.crypto import curve, ecdsa, field, multiples

class Assembler:
    pass

def run(block, program, script, length):
    for slot in (19, 20, 21, 22):
        block[256 + slot * block[0]] = 7

stand_in = Assembler()
stand_in.run, stand_in.write_windows, stand_in.write_digits = run, field.write_windows, field.write_digits
point = curve.encode_point(curve.P256, curve.P256.base)
left("portable", lambda: ecdsa.verify("P-256", point, bytes(32), b"\\1" * 64))
sys.modules["firmware.crypto.field_rv32"] = stand_in
from firmware.crypto import field_image
multiples._fields.clear()
multiples.Field = field_image.Field
ecdsa.inverse = multiples.inverse = field_image.inverse
for name, hash_name in given.items():
    known = curve.find_curve(name)
    public = curve.encode_point(known, known.base)
    left(name, lambda: crypto.verify(name, public, hash_name, bytes(512), b"\\1" * 2 * known.size))
    if type(multiples.prepare(known)) is not field_image.Field:
        raise TypeError
"""


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


def test_a_verification_leaves_few_objects_around_the_assembler_and_many_with_python_integers() -> None:
    hashes = {"P-256": "SHA-256", "P-384": "SHA-384", "P-521": "SHA-512", "SM2": "SM3"}
    left = objects(printed_on_lock(LEFT + VERIFICATIONS, hashes))
    assert left.pop("portable") > LIMIT
    assert set(left) == set(hashes) and all(50 < count < LIMIT for count in left.values()), left
