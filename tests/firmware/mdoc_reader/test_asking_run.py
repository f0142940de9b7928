"""The request to a wallet at the next tap depends on the end of the last session."""

from types import SimpleNamespace
from typing import Any

import pytest

from firmware.mdoc_reader.asking import Asking


def ended(asked: int, answered: int, lost: str) -> Any:
    """Return how a session ended, in the form of a `Reading`."""
    return SimpleNamespace(asked=asked, answered=answered, lost=lost)


def test_requests_for_several_types_stay_together_until_one_type_is_asked_a_tap() -> None:
    asking, requests = Asking(), [["a", "b"], ["c"], ["d", "e"]]
    plans = []
    for _ in range(8):
        plans.append(asking.begin(requests))
        asking.end(ended(1, 0, "session.declined"), requests)
    rest = [["c"], ["d"], ["e"], ["a"], ["b"]]
    assert plans == [
        requests,
        [["c", "d", "e"], ["a", "b"]],
        rest,
        [*rest[1:], ["c"]],
        [*rest[2:], ["c"]],
        [*rest[3:], ["c"], ["d", "e"]],
        [["b"], ["c"], ["d", "e"]],
        requests,
    ]


def test_a_request_that_found_the_session_closed_is_still_to_be_asked() -> None:
    asking, requests = Asking(), [["a"], ["b"], ["c"]]
    asking.begin(requests)
    asking.end(ended(2, 1, "nfc.timeout"), requests)
    assert asking.begin(requests)[0] == ["b", "c"]


def test_other_papers_begin_from_the_start() -> None:
    asking = Asking()
    requests = [["a"], ["b"]]
    asking.begin(requests)
    asking.end(ended(1, 0, "session.declined"), requests)
    assert asking.begin(requests)[0] == ["b"]
    assert asking.begin([*requests, ["c"]])[0] == ["a"]
    asking.end(ended(2, 2, "session.ended"), [*requests, ["c"]])
    assert asking.begin([["a", "b"], ["c"]]) == [["a", "b"], ["c"]], "as many types, in fewer requests"


@pytest.mark.parametrize("requests", [[["a"]], [["a"], ["b"]], [["a"], ["b"], ["c"], ["d"]]])
@pytest.mark.parametrize("lost", ["session.declined", "nfc.gone", "nfc.timeout"])
def test_whoever_holds_one_type_and_throws_without_it_is_asked_for_it_alone_in_the_end(
    requests: list[list[str]], lost: str
) -> None:
    for (held,) in requests:
        asking = Asking()
        taps = 1
        while asking.begin(requests)[0] != [held]:
            asking.end(ended(1, 0, lost), requests)
            taps += 1
            assert taps <= len(requests) + 1


@pytest.mark.parametrize("requests", [[["a", "b"]], [["a", "b"], ["c"]], [["a", "b"], ["c", "d"]], [["a"], ["b", "c"]]])
def test_who_throws_at_a_type_that_is_missing_is_asked_for_theirs_alone_also_where_requests_have_several(
    requests: list[list[str]],
) -> None:
    types = [doc_type for request in requests for doc_type in request]
    for held in types:
        asking = Asking()
        taps = 1
        while asking.begin(requests)[0] != [held]:
            asking.end(ended(1, 0, "nfc.timeout"), requests)
            taps += 1
            assert taps <= len(types) + 2


def test_a_session_that_the_door_ended_is_not_remembered() -> None:
    asking, requests = Asking(), [["a"], ["b"]]
    asking.begin(requests)
    asking.end(ended(2, 2, ""), requests)
    assert asking.begin(requests) == requests
