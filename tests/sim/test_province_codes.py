"""Placing locks at the doors of listings, and the commands that make and check listing codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocol import crypto_cpython as crypto
from protocol import placement, statement
from protocol.errors import ConfigError
from protocol.placement import Placement
from sim.platform import Platform
from sim.province import Province
from sim.province.__main__ import main
from tests.support.chain import NOW, Chain


@pytest.fixture
def province(tmp_path: Path) -> Province:
    return Province(tmp_path, "127.0.0.1", 1, clock=lambda: NOW)


def place(province: Province, lock: Chain, listing: str, room: str = "302") -> Placement:
    signed = province.register_lock(
        lock.public, listing=listing, room=room, platform_key=Platform().public, reader_chain=[b"\x30\x00"]
    )
    return Placement.parse(statement.open(crypto, signed, "placement", province.public))


def locks(province: Province, number: int) -> list[Chain]:
    return [Chain(province.keys.sealing_public) for _ in range(number)]


def test_a_listing_that_declares_several_doors_takes_as_many_locks_and_no_more(province: Province) -> None:
    street, room, another = locks(province, 3)
    province.declare_listing("HZ-1", doors=2)
    assert [place(province, lock, "HZ-1").door for lock in (street, room)] == [1, 2]
    assert place(province, street, "HZ-1").door == 1, "a change of placement leaves a lock at its door"
    with pytest.raises(ConfigError) as caught:
        place(province, another, "HZ-1")
    assert caught.value.code == "placement.listing_taken"
    assert all(lock.lock_id.hex() in caught.value.message for lock in (street, room, another))


def test_a_revoked_lock_gives_its_door_free_and_does_not_get_it_back(province: Province) -> None:
    old, new = locks(province, 2)
    place(province, old, "HZ-1")
    province.set_status(old.lock_id, placement.REVOKED)
    assert place(province, new, "HZ-1").door == 1
    province.set_status(old.lock_id, placement.REVOKED)
    with pytest.raises(ConfigError) as caught:
        province.set_status(old.lock_id, placement.ACTIVE)
    assert caught.value.code == "placement.listing_taken"
    assert place(province, old, "HZ-2").listing == "HZ-2", "revoked, it may be placed anew elsewhere"


def test_a_listing_cannot_have_fewer_doors_than_locks(province: Province) -> None:
    first, second = locks(province, 2)
    province.declare_listing("HZ-1", doors=2)
    place(province, first, "HZ-1")
    place(province, second, "HZ-1")
    with pytest.raises(ConfigError) as caught:
        province.declare_listing("HZ-1", doors=1)
    assert caught.value.code == "placement.doors" and second.lock_id.hex() in caught.value.message
    province.set_status(second.lock_id, placement.REVOKED)
    province.declare_listing("HZ-1", doors=1)


def test_whom_a_listing_admits_reaches_its_locks_by_a_new_placement(province: Province) -> None:
    [lock] = locks(province, 1)
    before = place(province, lock, "HZ-1")
    province.declare_listing("HZ-1", admits=placement.WALK_IN)
    held = province.statements_for(lock.lock_id)[0]
    after = Placement.parse(statement.open(crypto, held, "placement", province.public))
    assert (before.admits, after.admits, after.serial) == ("named", "walk-in", before.serial + 1)
    assert after.reader_chain == before.reader_chain and after.door == before.door


# --- the commands ----------------------------------------------------------------------------------------------------


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["code", *arguments]) == 0
    return capsys.readouterr().out.splitlines()[-1]


def test_a_code_is_made_and_anyone_with_the_key_can_check_it(
    province: Province, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [lock] = locks(province, 1)
    place(province, lock, "HZ-1", "West Lake Lane 12, room 302")
    key = province.public.hex()
    province.stop()
    assert main(["code", "--data", str(tmp_path), "--listing", "HZ-1"]) == 0
    shown = capsys.readouterr().out
    text = shown.splitlines()[-1]
    assert key in shown and "▄" in shown, "the key, and a picture"
    assert main(["check-code", text, "--key", key]) == 0
    assert "genuine: listing HZ-1, West Lake Lane 12, room 302, door 1" in capsys.readouterr().out
    assert main(["check-code", text, "--key", key, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["genuine"], told["listing"], told["door"]) == (True, "HZ-1", 1)


def test_what_is_not_genuine_exits_1_and_says_why(
    province: Province, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = made(capsys, "--data", str(tmp_path), "--listing", "HZ-1", "--place", "somewhere", "--text")
    key = province.public.hex()
    for tried, why in ((text.replace("CODE.", "C0DE."), "listing-code.link"), ("not a code!", "listing-code.text")):
        assert main(["check-code", tried, "--key", key]) == 1
        assert why in capsys.readouterr().out
    assert main(["check-code", text, "--key", crypto.generate("P-256")[1].hex(), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["genuine"], told["error"]["code"]) == (False, False, "cose.signature")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["code", "--listing", "HZ-1"], "listing-code.place"),
        (["code", "--listing", "HZ-1", "--place", "there", "--door", "2"], "listing-code.door"),
        (["code", "--listing", "HZ-1", "--place", "there", "--link", "HTTP://X.EXAMPLE/"], "listing-code.form"),
        (["code", "--listing", "", "--place", "there"], "listing-code.form"),
        (["check-code", "x", "--key", "abcd"], "listing-code.key"),
        (["check-code", "x", "--key", "no hex"], "listing-code.key"),
        (["check-code", "x", "--key", "04" + "00" * 64], "listing-code.key"),
    ],
)
def test_what_people_can_mend_exits_2_and_is_named(
    province: Province, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    where = ["--data", str(tmp_path)] if arguments[0] == "code" else []
    assert main([*arguments, *where]) == 2
    said = capsys.readouterr()
    assert code in said.err and "Traceback" not in said.err and said.out == ""


def test_a_folder_without_a_province_makes_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["code", "--data", str(tmp_path), "--listing", "HZ-1", "--place", "there"]) == 2
    assert "province.data" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_output_who_has_left_is_no_fault_of_the_folder(province: Province, tmp_path: Path) -> None:
    place(province, locks(province, 1)[0], "HZ-1")
    province.stop()
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "sim.province", "code", "--data", str(tmp_path), "--listing", "HZ-1"]
    # Without a buffer, the command itself writes to the pipe that nobody reads.
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, check=False, env=unbuffered)
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")
