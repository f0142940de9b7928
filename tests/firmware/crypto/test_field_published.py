"""The assembler of the field machine gives the published results, in an emulator.

Each test takes a few cases of the published sets. `make machine` takes all.
"""

import json
import os
from pathlib import Path
from typing import Any

from tests.support.crypto_calls import Call, on_cpython
from tests.support.machine import MACHINE, of_image

_DATA = Path(__file__).resolve().parents[2] / "data"
PUBLISHED = json.loads((_DATA / "crypto_published.json").read_bytes())
WYCHEPROOF = json.loads((_DATA / "crypto_wycheproof.json").read_bytes())
COMPLETE = bool(os.environ.get("MOORING_MACHINE"))
unhex = bytes.fromhex

# GB/T 32918.5-2017, A.2
PUBLIC = unhex(
    "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
IDENTITY = unhex("B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3")
MESSAGE = b"message digest"
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
R = unhex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3")
S = unhex("B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")


def some(cases: list[Any], step: int) -> list[Any]:
    """Return all cases if COMPLETE is true, otherwise one case in every `step` cases."""
    return cases if COMPLETE else cases[::step]


def on_machine(calls: list[Call]) -> list[Any]:
    """Make `calls` with the code of our own image, in an emulator."""
    package = of_image().crypto
    MACHINE.runs = 0
    answers = on_cpython(calls, package)
    assert MACHINE.runs > 0, "the assembler did not run"
    return answers


def test_the_machine_signs_as_rfc_6979_says() -> None:
    cases = some(PUBLISHED["nonce"]["cases"], 2)
    calls: list[Call] = [("ecdsa.sign", [unhex(private), unhex(message), b""]) for private, message, _ in cases]
    assert on_machine(calls) == [unhex(signature) for _, _, signature in cases]


def test_the_machine_verifies_the_signatures_of_rfc_6979_and_of_gb_t_32918() -> None:
    cases = some(PUBLISHED["ecdsa"]["cases"], 4)
    calls: list[Call] = [
        ("verify", [curve, unhex(public), hash_name, unhex(message), unhex(signature)])
        for curve, hash_name, public, message, signature in cases
    ]
    calls += [("verify", ["SM2", PUBLIC, "SM3", MESSAGE, R + S]), ("verify", ["SM2", PUBLIC, "SM3", MESSAGE, S + R])]
    assert on_machine(calls) == [True] * len(cases) + [True, False]


def test_the_machine_reaches_the_secrets_of_rfc_5903() -> None:
    calls: list[Call] = []
    expected = []
    for curve, one, one_public, _, other_public, shared in some(PUBLISHED["ecdh"]["cases"], 2):
        calls += [("public", [curve, unhex(one)]), ("ecdh", [curve, unhex(one), unhex(other_public)])]
        expected += [unhex(one_public), unhex(shared)]
    assert on_machine(calls) == expected


def test_the_machine_judges_signatures_as_wycheproof_says() -> None:
    cases = some(WYCHEPROOF["ecdsa"], 26)
    assert {case[5] for case in cases} == {True, False}
    answers = on_machine(
        [
            ("verify", [curve, unhex(public), hash_name, unhex(message), unhex(signature)])
            for curve, hash_name, public, message, signature, _, _ in cases
        ]
    )
    assert [case[6] for case, answer in zip(cases, answers, strict=True) if answer is not case[5]] == []


def test_the_machine_agrees_on_keys_or_refuses_as_wycheproof_says() -> None:
    cases = some(WYCHEPROOF["ecdh"], 20)
    answers = on_machine([("ecdh", [curve, unhex(private), unhex(public)]) for curve, private, public, _, _ in cases])
    expected = [unhex(shared) if shared is not None else "refused: crypto.key" for _, _, _, shared, _ in cases]
    assert answers == expected
