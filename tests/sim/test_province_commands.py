"""`python -m sim.province` with data that is damaged, missing or from another program ends with an error.

In these cases, the command makes no new data.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ConfigError
from sim.ports import ReservedPort
from sim.province import Province
from sim.province.__main__ import main
from sim.province.keys import Keys

NO_BROKER = ReservedPort()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a province that has been used."""
    Province(tmp_path / "province", "127.0.0.1", 1).stop()
    return tmp_path / "province"


@pytest.fixture(autouse=True)
def no_connection_stays_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No command leaves a connection to SQLite open, however the command ends. Python 3.13 warns of each connection
    that stays open.
    """
    opened: list[sqlite3.Connection] = []

    class Kept(sqlite3.Connection):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            opened.append(self)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Kept))
    yield
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def commands(folder: Path) -> list[list[str]]:
    data = ["--data", str(folder)]
    port = ["--port", str(NO_BROKER.port)]
    return [
        ["show", *data],
        ["show", "--json", *data],
        ["code", "--listing", "HZ-1", "--place", "there", *data],
        ["run", *port, *data],
    ]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must end with exit code 2. Returns its text on stderr."""
    assert main(arguments) == 2, arguments
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    if "--json" in arguments:
        assert json.loads(printed.out)["error"]["code"] == printed.err.split(":")[0]
    else:
        assert printed.out == ""
    return printed.err


def test_a_damaged_database_is_named_by_every_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "province.db").write_bytes(b"this is no database" * 100)
    for suffix in ("-wal", "-shm"):
        (folder / f"province.db{suffix}").unlink(missing_ok=True)
    for arguments in commands(folder):
        said = refused(arguments, capsys)
        assert said.startswith("province.data: ") and "province.db" in said


def test_a_file_in_place_of_the_folder_is_named_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for arguments in commands(tmp_path / "file"):
        said = refused(arguments, capsys)
        assert said.startswith("province.data: ") and "file" in said


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"signing": "01", "sealing": "02"}',
        json.dumps({"signing": "00" * 32, "sealing": "00" * 32}),
        json.dumps({"signing": "ff" * 32, "sealing": "01" * 32}),
    ],
    ids=["empty", "list", "one byte", "zero", "out of range"],
)
def test_keys_that_are_none_are_to_be_restored_and_not_replaced(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (folder / "keys.json").write_text(content)
    for arguments in commands(folder)[2:]:
        said = refused(arguments, capsys)
        assert said.startswith("province.keys: ") and "Restore it" in said and "remove" not in said
    assert (folder / "keys.json").read_text() == content


def test_no_new_keys_are_made_for_a_province_that_has_lost_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "keys.json").unlink()
    for arguments in commands(folder)[2:]:
        assert refused(arguments, capsys).startswith("province.keys: ")
    assert not (folder / "keys.json").exists()
    shutil.rmtree(folder)
    Province(folder, "127.0.0.1", 1).stop()
    assert (folder / "keys.json").exists(), "a new one makes its own"


def test_a_broker_that_cannot_be_reached_is_named_as_people_write_it(folder: Path) -> None:
    port = NO_BROKER.port
    province = Province(folder, "127.0.0.1", port)
    with pytest.raises(ConfigError) as caught:
        province.start(timeout=0.1)
    province.stop()
    assert caught.value.code == "province.broker" and f" 127.0.0.1:{port} " in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--port", "99999"], "from 1 to 65535"),
        (["run", "--port", "mqtt"], "from 1 to 65535"),
        (["run", "--host", ""], "not the name of a host"),
        (["run", "--host", "a..b"], "not the name of a host"),
        (["code", "--place", "there", "--listing", "\udcff"], "not UTF-8"),
        (["code", "--listing", "HZ-1", "--place", "\udcff"], "not UTF-8"),
    ],
    ids=lambda value: ascii(value[-2:]) if isinstance(value, list) else "",
)
def test_what_could_never_work_is_a_mistake_of_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--data", str(folder)])
    assert ended.value.code == 2 and says in capsys.readouterr().err


def test_what_is_scanned_may_be_any_bytes(folder: Path) -> None:
    key = Keys.load_or_generate(folder).signing_public.hex()
    command = [sys.executable, "-m", "sim.province", "check-code", "-", "--key", key]
    done = subprocess.run(command, input=b"\xff\xfe" * 10_000, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"") and b"not genuine" in done.stdout
