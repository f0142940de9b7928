"""The signs of a refusal: every row of the table in docs/door-signals.md, and the reasons that the province knows."""

import re
from pathlib import Path

import pytest

from firmware.door import refusals
from protocol import record
from protocol.errors import FormatError, MooringError, RefusedError, StorageError, TransportError, VerificationError

PAGE = (Path(__file__).parents[3] / "docs" / "door-signals.md").read_text(encoding="utf-8")


def documented() -> list[tuple[str, str, str]]:
    """Return (class of error, signal, code) for each code in the table "Which errors lead where"."""
    section = PAGE.split("## Which errors lead where")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    return [
        (kind.strip("`"), signal.strip("`"), code.replace("*", "of_any_kind"))
        for kind, signal, codes in rows[2:]
        if kind.startswith(("any", "`"))
        for code in re.findall(r"`([a-z-]+\.[a-z_*]+)`", kind + codes)
    ]


@pytest.mark.parametrize(("kind", "signal", "code"), documented())
def test_each_code_leads_to_the_signal_that_the_page_says(kind: str, signal: str, code: str) -> None:
    kinds = {"TransportError": TransportError, "StorageError": StorageError}
    for error in [kinds[kind]] if kind in kinds else [FormatError, VerificationError, RefusedError]:
        assert refusals.meaning(error(code))[0] == signal


def test_every_family_of_the_rows_is_on_the_page_and_no_row_is_out_of_reach() -> None:
    families = {code.split(".")[0] for _, _, code in documented()}
    assert {beginning.split(".")[0] for beginning, _, _ in refusals.rows()} <= families
    for at, (beginning, _, _) in enumerate(refusals.rows()):
        assert not any(beginning.startswith(other) for other, _, _ in list(refusals.rows())[:at])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (VerificationError("mdoc.chain_signature"), "issuer"),
        (VerificationError("mdoc.chain_intermediate"), "issuer"),
        (VerificationError("mdoc.root_validity"), "issuer"),
        (VerificationError("mdoc.ds_key_usage"), "issuer"),
        (VerificationError("mdoc.untrusted"), "issuer"),
        (VerificationError("mdoc.digest"), "document"),
        (VerificationError("mdoc.expired"), "expired"),
        (VerificationError("session.encryption"), "phone"),
        (FormatError("cbor.depth"), "phone"),
        (RefusedError("grant.none"), "stranger"),
        (RefusedError("grant.early"), "window"),
        (RefusedError("grant.over"), "window"),
        (RefusedError("grant.full"), "places"),
        (RefusedError("door.suspended"), "placement"),
        (RefusedError("clock.unknown"), "clock"),
        (RefusedError("trust-list.stale"), "stale"),
        (RefusedError("status-list.stale"), "stale"),
        (RefusedError("profile.missing"), "profile"),
        (RefusedError("pin.wrong"), "pin"),
        (StorageError("journal.full"), "storage"),
        (FormatError("mdoc.memory"), "other"),
        (TransportError("ble.memory"), "other"),
        (FormatError("cose.form"), "other"),
        (TransportError("nfc.lost"), None),
        (MemoryError(), None),
    ],
)
def test_a_reason_class_is_of_the_code_and_never_of_a_person(error: Exception, expected: str | None) -> None:
    assert refusals.meaning(error)[1] == expected


def test_every_class_is_one_that_a_record_can_hold_and_every_one_of_those_is_used() -> None:
    used = {reason for _, _, reason in refusals.rows()} | {"storage", "other"}
    assert used == set(record.EVENTS[record.REFUSAL])


def test_want_of_memory_is_the_locks_fault_whichever_way_it_shows() -> None:
    for error in (MemoryError(), FormatError("mdoc.memory"), TransportError("ble.memory"), MooringError("x.memory")):
        assert refusals.meaning(error)[0] == "fault"
