"""A wrong key of the province is told once, with the remedy."""

import pytest

from edge_agent.key_doubt import ENOUGH, KeyDoubt


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records]


def test_bad_signatures_without_a_good_one_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    doubt = KeyDoubt()
    for _ in range(ENOUGH - 1):
        doubt.bad("cose.signature")
    assert told(caplog) == []
    for _ in range(100):
        doubt.bad("cose.signature")
    assert told(caplog) == ["province.other_key"]


def test_after_a_good_signature_and_for_other_codes_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    other, good = KeyDoubt(), KeyDoubt()
    good.good()
    for _ in range(ENOUGH):
        other.bad("receipt.lock")
        good.bad("cose.signature")
    assert told(caplog) == []
