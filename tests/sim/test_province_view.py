"""The command that shows a province's data."""

import json
from pathlib import Path

import pytest

from protocol import crypto_cpython as crypto
from protocol import record, uplink
from sim.platform import Platform
from sim.province import Keys, Province
from sim.province.__main__ import main
from sim.province.view import KINDS
from tests.support.chain import NOW, RESIDENT, Chain, check_in, entry, event


def with_a_lock(folder: Path, listing: str = "HZ-0001", room: str = "1201") -> tuple[Province, Chain]:
    """Return a province, and the records of a lock that it has registered."""
    province = Province(folder, "127.0.0.1", 1, clock=lambda: NOW + 5)
    chain = Chain(province.keys.sealing_public)
    province.register_lock(
        chain.public, listing=listing, room=room, platform_key=Platform().public, reader_chain=[b"\x30\x00"]
    )
    return province, chain


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make the folder of a province with one lock.

    One record is missing, one record is flawed, and a forged record is in quarantine.
    """
    province, chain = with_a_lock(tmp_path)
    for body in (check_in(), check_in(ethnicity=""), entry(), entry()):
        chain.append(body)
    stranger, _ = crypto.generate("P-256")
    forged = record.sign(crypto, stranger, chain.payload(entry(), 3, record.parse(chain.records[1]).payload_hash))
    unknown = Chain(province.keys.sealing_public).append(entry())
    records = [*chain.records[:2], chain.records[3], forged, unknown]
    province.registry.handle("edge-1", uplink.Batch(bytes(8), records).encode())
    province.stop()
    return tmp_path


def test_the_tables_show_people_what_is_held_and_what_is_wrong(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["show", "--data", str(data)]) == 0
    shown = capsys.readouterr().out
    for text in (*RESIDENT.values(), "HZ-0001", "1201", "profile.missing", "cose.signature", "edge-1"):
        assert text in shown


def test_a_name_cannot_write_into_the_tables_of_officers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    province, chain = with_a_lock(tmp_path, listing="[b]1", room="[/]")
    named = chain.append({**check_in(name="[red]ok[/dim]"), 4: "[b]1"})
    province.registry.handle("edge-1", uplink.Batch(bytes(8), [named]).encode())
    province.stop()
    assert main(["show", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "[red]ok[/dim]" in shown and "[b]1" in shown and "room [/]" in shown


def test_the_json_holds_the_same_for_programs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--data", str(data), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    [lock] = held["locks"]
    assert (lock["records"], lock["last_counter"], lock["missing"], lock["receipted_through"]) == (3, 4, [3], 2)
    first = held["records"][0]
    assert (first["fields"], first["verdict"], first["kind"], first["room"]) == (RESIDENT, "ok", "check-in", "1201")
    assert first["delay_seconds"] == 8
    assert [item["verdict"] for item in held["records"]] == ["ok", "profile.missing", "ok"]
    assert held["records"][2]["delay_seconds"] is None, "an entry at a time that the lock could not know"
    assert [item["code"] for item in held["quarantine"]] == ["cose.signature"]
    assert held["tally"] == {"records committed": 3, "records of unknown locks": 1, "records refused": 1}


def test_records_of_no_use_are_shown_as_evidence_and_an_absurd_one_breaks_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    province = Province(tmp_path, "127.0.0.1", 1, clock=lambda: NOW + 5)
    chain = Chain(Keys.generate().sealing_public)
    province.register_lock(
        chain.public, listing="HZ-0001", room="1201", platform_key=Platform().public, reader_chain=[b"\x30\x00"]
    )
    unopenable = chain.append(check_in())
    chain.sealing_public = province.keys.sealing_public
    last = 2**53 - 1
    absurd = chain.sign(chain.payload({**check_in(), 2: last, 3: last}, last, bytes(31) + b"\x01"))
    province.registry.handle("edge-1", uplink.Batch(bytes(8), [unopenable, absurd]).encode())
    province.stop()
    assert main(["show", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for text in ("as evidence", "unopened", "crypto.tag", record.parse(unopenable).payload_hash.hex()[:16], str(last)):
        assert text in shown
    assert main(["show", "--data", str(tmp_path), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    first = held["records"][0]
    assert (first["kind"], first["verdict"], first["fields"], first["earliest"]) == ("unopened", "crypto.tag", {}, None)
    [lock] = held["locks"]
    assert (lock["records"], lock["unusable"], lock["receipted_through"]) == (2, 1, 1)
    assert lock["missing"] == list(range(2, 22))
    assert held["tally"]["records unusable"] == 1


def test_a_folder_without_a_province_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--data", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "province.db").exists()


def test_keys_that_are_not_keys_are_named_and_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.json").write_text('{"signing": "00"}')
    assert main(["run", "--data", str(tmp_path), "--port", "1"]) == 2
    assert "keys.json" in capsys.readouterr().err
    assert (tmp_path / "keys.json").read_text() == '{"signing": "00"}'


def test_keys_are_readable_by_their_owner_alone(data: Path) -> None:
    assert (data / "keys.json").stat().st_mode & 0o077 == 0


def test_events_are_shown_and_counted_by_how_often_they_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    province, chain = with_a_lock(tmp_path)
    kinds = [(kind, what) for kind, whats in record.EVENTS.items() for what in whats]
    for kind, what in kinds:
        chain.append(event(kind, what, 7))
    chain.append({**entry(), 6: None, 11: 40})
    province.registry.handle("edge-1", uplink.Batch(bytes(8), chain.records).encode())
    assert province.registrations(record.CHECK_IN) == [] and len(province.events()) == len(kinds)
    assert [item.count for item in province.registrations()] == [40]
    assert len(province.events(record.REFUSAL)) == len(record.EVENTS[record.REFUSAL])
    province.stop()
    assert main(["show", "--data", str(tmp_path), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    [lock] = held["locks"]
    assert lock["happened"] == {KINDS[kind]: 7 * len(whats) for kind, whats in record.EVENTS.items()} | {"entry": 40}
    first = held["records"][0]
    assert (first["kind"], first["what"], first["count"], first["fields"]) == ("refusal", kinds[0][1], 7, {})
    assert first["verdict"] == "ok" and first["guest"] is None
    assert main(["show", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for text in ("Events", "door: forced", "tamper: opened", "mechanical: key", "boot: watchdog", "several"):
        assert text in shown
