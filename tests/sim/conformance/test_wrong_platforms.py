"""For each clause, a platform that breaks it. The judge names that clause."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol import statement
from sim.conformance import platform
from sim.conformance.clauses import PLATFORM
from sim.conformance.dialogue import answer_of
from sim.conformance.our_platform import OurPlatform
from sim.conformance.platform import PHONE, PlatformJudge
from sim.conformance.verdict import Verdict, exit_code

Answer = dict[str, Any]
Twist = Callable[["Talk", Answer], Answer]


class Talk:
    """The platform of this repository, asked in this process. `twist(talk, question)` answers in its place."""

    def __init__(self, folder: Path, twist: Twist | None) -> None:
        self._folder, self._twist = folder, twist
        self.starts = 0
        self.given: dict[str, str] = {}
        """The last grant of each booking."""
        self.open()

    def open(self) -> None:
        self.ours = OurPlatform(self._folder)
        self.key = bytes.fromhex(json.loads((self._folder / "platform.json").read_text())["private"])

    def forget(self) -> None:
        (self._folder / "platform.json").unlink()
        self.open()

    def honest(self, question: Answer) -> Answer:
        answer = self.ours.answer(question)
        if "grant" in answer:
            self.given[question["booking"]] = answer["grant"]
        return answer

    async def ask(self, question: Answer) -> Answer:
        told = self.honest(question) if self._twist is None else self._twist(self, question)
        return answer_of(json.dumps(told).encode() + b"\n", "an answer")

    async def restart(self) -> None:
        self.starts += 1
        self.open()


def judged(folder: Path, twist: Twist | None, *wanted: str) -> list[Verdict]:
    async def story() -> list[Verdict]:
        judge = PlatformJudge(Talk(folder, twist))
        return [verdict async for verdict in judge.judge(wanted, lambda _clause: None)]

    return asyncio.run(story())


def body(change: Callable[["Talk", Answer, dict[int, Any]], dict[int, Any]]) -> Twist:
    """Return a platform that changes the body of each grant: `change(talk, question, body)`."""

    def twist(talk: Talk, question: Answer) -> Answer:
        answer = talk.honest(question)
        if "grant" not in answer:
            return answer
        made = change(talk, question, statement.parse(bytes.fromhex(answer["grant"])).read("grant"))
        return {"grant": statement.sign(crypto, talk.key, "grant", made).hex()}

    return twist


def instead(ask: str, change: Callable[[Answer], Answer]) -> Twist:
    """Return a platform that takes one kind of question for another question."""
    return lambda talk, question: talk.honest(change(question) if question["ask"] == ask else question)


def stranger_signs(talk: Talk, question: Answer) -> Answer:
    answer = talk.honest(question)
    if "grant" not in answer:
        return answer
    form = statement.parse(bytes.fromhex(answer["grant"])).read("grant")
    return {"grant": statement.sign(crypto, crypto.generate("P-256")[0], "grant", form).hex()}


def new_key_at_each_start(talk: Talk, question: Answer) -> Answer:
    return {"key": crypto.generate("P-256")[1].hex()} if question["ask"] == "key" else talk.honest(question)


def guests(change: Callable[[Answer], Answer]) -> Twist:
    """Return a platform that knows other data of each guest."""

    def twist(talk: Talk, question: Answer) -> Answer:
        if "guests" not in question:
            return talk.honest(question)
        return talk.honest({**question, "guests": [change(guest) for guest in question["guests"]]})

    return twist


def same_id(_talk: Talk, _question: Answer, form: dict[int, Any]) -> dict[int, Any]:
    return {**form, 2: bytes(16)}


def name_as_listing(_talk: Talk, question: Answer, form: dict[int, Any]) -> dict[int, Any]:
    named = [guest["name"] for guest in question.get("guests", ()) if "name" in guest]
    return {**form, 4: named[0]} if named else form


def old_serial(_talk: Talk, _question: Answer, form: dict[int, Any]) -> dict[int, Any]:
    return {**form, 3: 1}


def horizon_at_the_end(_talk: Talk, _question: Answer, form: dict[int, Any]) -> dict[int, Any]:
    return {**form, 10: form[6]}


def serials_of_this_run(talk: Talk, question: Answer, form: dict[int, Any]) -> dict[int, Any]:
    """Count serials in memory, from the last start on."""
    if question["ask"] == "book" or not talk.starts:
        return form
    return {**form, 3: 1}


def again_after_the_end(talk: Talk, question: Answer) -> Answer:
    answer = talk.honest(question)
    if question["ask"] == "change" and "refused" in answer:
        return {"grant": talk.given[question["booking"]]}
    return answer


def forgets(talk: Talk, question: Answer) -> Answer:
    if talk.starts and question["ask"] == "change":
        talk.forget()
    return talk.honest(question)


def any_placement(talk: Talk, question: Answer) -> Answer:
    """Take each lock for placed, at whatever listing is asked for."""
    if question["ask"] == "book":
        talk.ours._listings[question["identity"]] = question["listing"]
    return talk.honest(question)


def any_booking(talk: Talk, question: Answer) -> Answer:
    answer = talk.honest(question)
    if question["ask"] == "book" and "refused" in answer and talk.given:
        return {"grant": list(talk.given.values())[-1]}
    if question["ask"] == "book" and "refused" in answer:
        return talk.honest({**question, "until": question["from"] + 9, "places": 9, "guests": [], "booking": "any"})
    return answer


def residents_anywhere(talk: Talk, question: Answer) -> Answer:
    """Name a resident's number whatever the kind of document."""
    if question["ask"] != "book":
        return talk.honest(question)
    shown = [{**guest, "type": "resident-id", "country": "CN"} for guest in question["guests"]]
    return talk.honest({**question, "guests": shown})


def pins_for_all(talk: Talk, question: Answer) -> Answer:
    return {"pin": "12345678"} if question["ask"] == "pin" else talk.honest(question)


def less(*members: str) -> Callable[[Answer], Answer]:
    return lambda guest: {name: value for name, value in guest.items() if name not in members}


WRONG: dict[str, tuple[Twist, str]] = {
    "a new key at each start": (new_key_at_each_start, "B1"),
    "no point for a key": (lambda talk, question: {"key": "04" * 65} if question["ask"] == "key" else {}, "B1"),
    "no answer of the right form": (lambda _talk, _question: {"hello": 1}, "B1"),
    "another key signs": (stranger_signs, "B2"),
    "another listing": (body(lambda _t, _q, form: {**form, 4: "ELSEWHERE"}), "B3"),
    "a longer stay": (body(lambda _t, _q, form: {**form, 6: form[6] + 60, 10: form[10] + 60}), "B3"),
    "documents by number and birth date alone": (guests(less("type", "country")), "B4"),
    "names that are not folded": (
        guests(lambda one: one | {"name": one["name"] + "x"} if "name" in one else one),
        "B5",
    ),
    "guests without a document are left out": (
        lambda talk, question: talk.honest(
            {**question, "places": 1, "guests": [one for one in question["guests"] if "phone" not in one]}
            if question["ask"] == "book"
            else question
        ),
        "B6",
    ),
    "one id for all stays": (body(same_id), "B7"),
    "a name in the grant": (body(name_as_listing), "B8"),
    "no ties": (guests(less("adult", "relation")), "B9"),
    "ties that are not masked": (body(lambda _t, _q, form: {**form, 11: bytes(len(form[11]))}), "B9"),
    "the same serial again": (body(old_serial), "B10"),
    "a horizon that goes back": (body(horizon_at_the_end), "B10"),
    "the guests of before": (instead("change", less("guests")), "B11"),
    "a stay that comes back": (again_after_the_end, "B12"),
    "a cancellation that only shortens": (body(lambda _t, _q, form: {**form, 9: False}), "B12"),
    "random PINs": (pins_for_all, "B13"),
    "grants outside the placement": (any_placement, "B14"),
    "grants for impossible stays": (any_booking, "B15"),
    "residents by any document": (residents_anywhere, "B16"),
    "serials begin again": (body(serials_of_this_run), "B17"),
    "bookings are forgotten": (forgets, "B17"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_platform_that_breaks_a_clause_is_caught_at_that_clause(wrong: str, tmp_path: Path) -> None:
    twist, broken = WRONG[wrong]
    [verdict] = judged(tmp_path, twist, broken)
    assert (verdict.clause, verdict.outcome) == (broken, "fail"), verdict
    assert verdict.expected and verdict.came and exit_code([verdict]) == 1


def test_there_is_a_wrong_platform_for_each_clause() -> None:
    assert {broken for _, broken in WRONG.values()} == set(PLATFORM)


def test_the_platform_of_this_repository_holds_every_clause(tmp_path: Path) -> None:
    verdicts = judged(tmp_path, None, *PLATFORM)
    assert [each.line() for each in verdicts if each.outcome != "pass"] == []
    assert [each.clause for each in verdicts] == list(PLATFORM) and exit_code(verdicts) == 0


def test_what_cannot_be_judged_is_neither_held_nor_broken(tmp_path: Path) -> None:
    verdicts = judged(tmp_path, stranger_signs, "B3")
    assert [each.outcome for each in verdicts] == ["unjudged"] and exit_code(verdicts) == 2
    assert "see B2" in verdicts[0].line()
    assert exit_code([replace(verdicts[0], outcome="pass"), verdicts[0]]) == 2


def test_the_invented_guests_have_different_data() -> None:
    assert len({repr(one) for one in (platform.ADULT, platform.CHILD, platform.DATED, platform.NAMED, PHONE)}) == 5
