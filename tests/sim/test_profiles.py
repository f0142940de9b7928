"""Profile files: an error names the bad file, and other files still work. A good file can be checked and played."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ConfigError
from sim import profiles
from sim.__main__ import main
from sim.province import Province

CN = json.loads((profiles.FOLDER / "cn.json").read_text())

BAD = {
    "not UTF-8": (b"\xff\xfe{", "profile.file"),
    "not JSON": (b"{", "profile.file"),
    "no object": (b"[]", "profile.file"),
    "deeply nested": (b"[" * 100_000, "profile.file"),
    "a member twice": (b'{"id": "BAD", "id": "BAD"}', "profile.file"),
    "empty": (b"{}", "profile.form"),
    "an id of another": (json.dumps(CN).encode(), "profile.id"),
    "an id in small letters": (json.dumps({**CN, "id": "bad"}).encode(), "profile.id"),
    "version 0": (json.dumps({**CN, "id": "BAD", "version": 0}).encode(), "profile.form"),
    "a version that is text": (json.dumps({**CN, "id": "BAD", "version": "1"}).encode(), "profile.form"),
    "asks for what must never be": (json.dumps({**CN, "id": "BAD", "never": ["sex"]}).encode(), "profile.never"),
    "a member that no version has": (json.dumps({**CN, "id": "BAD", "colour": "red"}).encode(), "profile.form"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of profiles with the profile CN. Tests add more files."""
    copied = tmp_path / "profiles"
    copied.mkdir()
    shutil.copy(profiles.FOLDER / "cn.json", copied)
    monkeypatch.setattr(profiles, "FOLDER", copied)
    return copied


def test_every_profile_in_the_repository_is_good() -> None:
    good, bad = profiles.load()
    assert "CN" in good and bad == []


@pytest.mark.parametrize("what", BAD)
def test_a_bad_profile_names_itself_and_keeps_no_other_out(
    folder: Path, what: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    content, code = BAD[what]
    (folder / "bad.json").write_bytes(content)
    good, [problem] = profiles.load()
    assert list(good) == ["CN"] and problem.code == code and f"{folder / 'bad.json'}: " in problem.message
    province = Province(folder.parent / "province", "127.0.0.1", 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert province.store.statement("profile", "CN") is not None and "bad.json" in caplog.text
    province.stop()
    assert main(["profile", "check", str(folder / "bad.json")]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"{code}: ") and "bad.json" in said.err and said.err.count("\n") == 1


def test_a_good_profile_is_called_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "check", str(profiles.FOLDER / "cn.json")]) == 0
    documents, requests = len(CN["documents"]), len(CN["requests"])
    told = f"cn.json: good. Profile CN, version {CN['version']}: {documents} document types in {requests} requests\n"
    assert capsys.readouterr().out.endswith(told)


def test_a_profile_that_cannot_be_read_is_unusable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path):
        assert main(["profile", "check", str(path)]) == 2
        assert capsys.readouterr().err.startswith(f"profile.unreadable: {path}: ")


def test_a_profile_without_a_file_is_told_before_anything_is_played(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "first-checkin", "--profile", "ZZ"]) == 2
    assert "profile.unknown: there is no profile 'ZZ'. Choose one of: CN.\n" in capsys.readouterr().err
    (folder / "zz.json").write_text("{}")
    assert main(["run", "first-checkin", "--profile", "ZZ"]) == 2
    said = capsys.readouterr().err
    assert "zz.json" in said and "profile.form" in said and "putting the radio" not in said


def test_a_guest_checks_in_under_the_profile_that_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "zz.json").write_text(json.dumps({**CN, "id": "ZZ"}))
    kept = folder.parent / "kept"
    chosen = ["--profile", "ZZ", "--keep", str(kept), "--runtime", "cpython", "--json"]
    assert main(["run", "first-checkin", *chosen]) == 0, capsys.readouterr()
    capsys.readouterr()
    from sim.province.__main__ import main as province

    assert province(["show", "--data", str(kept / "province"), "--json"]) == 0
    [lock] = json.loads(capsys.readouterr().out)["locks"]
    assert lock["profile"] == "ZZ"


def _places(value: Any) -> list[Any]:
    """Return every map and every list inside `value`."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict | list) and value else []) + [p for each in inside for p in _places(each)]


JUNK = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5), st.just([]), st.just({}))


@given(st.data())
def test_a_file_with_something_else_in_any_place_is_refused_in_order_or_good(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    body = copy.deepcopy(CN)
    place = data.draw(st.sampled_from(_places(body)))
    key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(JUNK)
    path = tmp_path_factory.getbasetemp() / "cn.json"
    path.write_text(json.dumps(body))
    try:
        assert profiles.read(path) == body
    except ConfigError as error:
        assert str(path) in error.message
