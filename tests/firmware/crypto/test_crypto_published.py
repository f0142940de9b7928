"""The code gives the published results, on CPython and on the lock's interpreter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.crypto_calls import RUNTIMES, Call

_DATA = Path(__file__).resolve().parents[2] / "data"
PUBLISHED = json.loads((_DATA / "crypto_published.json").read_bytes())
WYCHEPROOF = json.loads((_DATA / "crypto_wycheproof.json").read_bytes())

Run = Callable[[list[Call]], list[Any]]
unhex = bytes.fromhex


@pytest.fixture(params=list(RUNTIMES), name="run")
def _run(request: pytest.FixtureRequest) -> Run:
    return RUNTIMES[request.param]


def test_deterministic_signatures_are_those_of_rfc_6979(run: Run) -> None:
    cases = PUBLISHED["nonce"]["cases"]
    answers = run([("ecdsa.sign", [unhex(private), unhex(message), b""]) for private, message, _ in cases])
    assert answers == [unhex(signature) for _, _, signature in cases]


def test_the_signatures_of_rfc_6979_verify_under_every_hash(run: Run) -> None:
    cases = PUBLISHED["ecdsa"]["cases"]
    calls: list[Call] = [
        ("verify", [curve, unhex(public), hash_name, unhex(message), unhex(signature)])
        for curve, hash_name, public, message, signature in cases
    ]
    assert run(calls) == [True] * len(cases)


def test_both_sides_of_the_key_agreements_of_rfc_5903_reach_the_same_secret(run: Run) -> None:
    calls: list[Call] = []
    expected = []
    for curve, one, one_public, other, other_public, shared in PUBLISHED["ecdh"]["cases"]:
        calls += [("public", [curve, unhex(one)]), ("public", [curve, unhex(other)])]
        calls += [
            ("ecdh", [curve, unhex(one), unhex(other_public)]),
            ("ecdh", [curve, unhex(other), unhex(one_public)]),
        ]
        expected += [unhex(value) for value in (one_public, other_public, shared, shared)]
    assert run(calls) == expected


def test_keys_are_derived_as_in_rfc_5869(run: Run) -> None:
    calls: list[Call] = []
    expected = []
    for secret, salt, info, length, key, output in PUBLISHED["hkdf"]["cases"]:
        calls += [("hkdf_extract", [unhex(salt), unhex(secret)]), ("hkdf_expand", [unhex(key), unhex(info), length])]
        expected += [unhex(key), unhex(output)]
    assert run(calls) == expected


def test_message_authentication_codes_are_those_of_rfc_4231(run: Run) -> None:
    cases = PUBLISHED["hmac"]["cases"]
    assert run([("hmac_sha256", [unhex(key), unhex(data)]) for key, data, _ in cases]) == [
        unhex(tag) for _, _, tag in cases
    ]


def test_digests_are_those_of_fips_180_4(run: Run) -> None:
    cases = PUBLISHED["digest"]["cases"]
    assert run([("digest", [name, unhex(message)]) for name, message, _ in cases]) == [
        unhex(value) for _, _, value in cases
    ]


def test_gcm_seals_and_opens_the_cases_of_its_specification(run: Run) -> None:
    calls: list[Call] = []
    expected = []
    for key, nonce, aad, plaintext, sealed in PUBLISHED["gcm"]["cases"]:
        calls += [("seal_gcm", [unhex(key), unhex(nonce), unhex(plaintext), unhex(aad)])]
        calls += [("open_gcm", [unhex(key), unhex(nonce), unhex(sealed), unhex(aad)])]
        expected += [unhex(sealed), unhex(plaintext)]
    assert run(calls) == expected


def test_wycheproof_signatures_are_judged_as_it_says(run: Run) -> None:
    cases = WYCHEPROOF["ecdsa"]
    answers = run(
        [
            ("verify", [curve, unhex(public), hash_name, unhex(message), unhex(signature)])
            for curve, hash_name, public, message, signature, _, _ in cases
        ]
    )
    assert [case[6] for case, answer in zip(cases, answers, strict=True) if answer is not case[5]] == []


def test_wycheproof_key_agreements_succeed_or_are_refused_as_it_says(run: Run) -> None:
    cases = WYCHEPROOF["ecdh"]
    answers = run([("ecdh", [curve, unhex(private), unhex(public)]) for curve, private, public, _, _ in cases])
    expected = [unhex(shared) if shared is not None else "refused: crypto.key" for _, _, _, shared, _ in cases]
    assert answers == expected


def test_wycheproof_sealed_messages_open_or_are_refused_as_it_says(run: Run) -> None:
    # The lock takes only nonces of 12 bytes. The lock must refuse vectors with longer or shorter nonces.
    cases = WYCHEPROOF["gcm"]
    answers = run([("open_gcm", [unhex(k), unhex(n), unhex(sealed), unhex(aad)]) for k, n, aad, sealed, _, _ in cases])
    assert answers == [unhex(plain) if plain is not None else "refused: crypto.tag" for _, _, _, _, plain, _ in cases]
