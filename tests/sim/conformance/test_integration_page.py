"""docs/integration.md says what the judge judges, and its messages are those that the code makes."""

import re
from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol import record, statement, uplink
from sim.board.interpreter import ROOT
from sim.conformance import examples
from sim.conformance.clauses import PLATFORM, PROVINCE

PAGE = (ROOT / "docs/integration.md").read_text(encoding="utf-8")
MESSAGES = examples.messages()


def test_the_page_has_every_clause_in_the_words_of_the_judge() -> None:
    rows = re.findall(r"^\| ([PB]\d+) \| (.+?) \|", PAGE, re.MULTILINE)
    assert rows == [*PROVINCE.items(), *PLATFORM.items()]


def test_each_step_names_clauses_that_there_are() -> None:
    named = re.findall(r"--only (\w+)", PAGE)
    assert len(named) > 20 and set(named) <= {*PROVINCE, *PLATFORM}


def test_the_page_ends_with_the_messages_that_the_command_prints() -> None:
    assert PAGE.endswith(examples.page()) and examples.page() == examples.page()


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_of_the_page_is_read_and_its_signatures_are_good(name: str) -> None:
    leaf, data = MESSAGES[name]
    if leaf == uplink.STATE:
        assert uplink.parse_state(data)[0]
    elif leaf == uplink.UP:
        message = uplink.parse_up(data)
        if isinstance(message, uplink.Batch):
            [item] = [record.verify(crypto, record.parse(each), examples.public("lock")) for each in message.records]
            assert record.open_body(crypto, item, examples.private("sealing"))[record.KIND] == record.BOOT
    else:
        parse: dict[str, Any] = {
            uplink.CMD: uplink.parse_command,
            uplink.RECEIPT: uplink.parse_receipts,
            uplink.PASS: uplink.parse_passes,
        }
        for signed in parse[leaf](data).statements:
            kind = statement.parse(signed).kind
            signer = examples.public("platform" if kind == "grant" else "province")
            assert statement.open(crypto, signed, kind, signer)[1] == 1
