"""doctor names what is wrong with a machine and what to do; status --watch shows the answer again."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from edge_agent import answers, config, doctor, status
from edge_agent.__main__ import main
from edge_agent.outbox import Outbox
from protocol import crypto_cpython as crypto
from sim.broker import Broker
from sim.ports import ReservedPort
from tests.support.link_keys import LinkKeys
from tests.support.signing_lock import PROVINCE_PUBLIC, SigningLock

KEYS = LinkKeys(crypto)


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    (tmp_path / "bluetooth" / "hci0").mkdir(parents=True)
    return tmp_path / "bluetooth"


def settings(folder: Path, port: int) -> config.Config:
    environment = {"STATE_DIR": str(folder / "state"), "PROVINCE_PUBLIC_KEY": PROVINCE_PUBLIC.hex()}
    environment |= {"MQTT_HOSTS": f"127.0.0.1:{port}", "OUTBOX_DISK_RESERVE_MB": "0"}
    return config.load(None, {f"MOORING_EDGE_{name}": value for name, value in environment.items()})


def keep_pass(named: config.Config, days: float) -> None:
    """Write a pass that ends in so many days."""
    now = int(time.time())
    message = KEYS.passes(issued_at=now - 7 * 86400, not_after=now + int(days * 86400))
    (named.state_dir / "edge.pass").write_bytes(message)


def levels(named: config.Config, adapters: Path) -> dict[str, str]:
    return {one["part"]: one["level"] for one in doctor.examine(named, adapters=adapters).facts["checks"]}


def test_a_machine_where_everything_works_is_good(tmp_path: Path, adapters: Path) -> None:
    with Broker() as broker:
        named = settings(tmp_path, broker.port)
        with status.only_one(named.state_dir):
            status.write(named.state_dir, {"broker": True, "locks": [], "faults": {}})
            keep_pass(named, days=6)
            found = levels(named, adapters)
            found.pop("clock", None)  # this machine's clock is not the test's matter
            assert set(found.values()) == {"good"} and len(found) >= 7
            status.write(named.state_dir, {"broker": False, "locks": [], "faults": {"KeyError": 1}})
            found = levels(named, adapters)
            assert (found["broker"], found["faults"]) == ("warning", "warning"), "it can be reached"


@pytest.mark.parametrize(("days", "level"), [(6, "good"), (1.5, "warning"), (-0.1, "bad"), (None, "warning")])
def test_a_pass_is_judged_by_its_end(tmp_path: Path, adapters: Path, days: float | None, level: str) -> None:
    named = settings(tmp_path, 1)
    named.state_dir.mkdir(mode=0o700)
    if days is None:
        (named.state_dir / "edge.pass").write_bytes(b"torn")
    else:
        keep_pass(named, days)
    assert levels(named, adapters)["pass"] == level


def test_each_thing_that_keeps_the_agent_from_its_work_is_bad(tmp_path: Path, adapters: Path) -> None:
    lock = SigningLock()
    with contextlib.closing(ReservedPort()) as nobody:
        named = settings(tmp_path, nobody.port)
        with contextlib.closing(Outbox(named.outbox_path)) as outbox:
            for item in lock.journal(2):
                outbox.put(item)
            outbox.dispute((lock.lock_id, 1), "cose.signature")
        answer = doctor.examine(named, adapters=tmp_path / "none")
    bad = {one["part"]: one["text"] for one in answer.facts["checks"] if one["level"] == "bad"}
    assert answer.code == 1 and bad.keys() >= {"agent", "broker", "queue"}
    assert "nothing listens on 127.0.0.1" in bad["broker"] and "Tell the province" in bad["queue"]
    assert "does not run" in bad["agent"]
    assert answer.lines[-1].startswith("Something above keeps the agent from its work.")


def test_a_machine_without_bluetooth_is_told_so_where_that_can_be_known(
    tmp_path: Path, adapters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert [one.level for one in doctor._radio(adapters)] == ["good"]
    assert [one.level for one in doctor._radio(tmp_path / "none")] == ["bad"]


def test_colours_are_those_of_the_levels_and_only_where_asked_for(tmp_path: Path, adapters: Path) -> None:
    with contextlib.closing(ReservedPort()) as nobody:
        named = settings(tmp_path, nobody.port)
        coloured = doctor.examine(named, colour=True, adapters=adapters).lines
        plain = doctor.examine(named, adapters=adapters).lines
    assert any(line.startswith("\x1b[31m  bad ") for line in coloured)
    assert [line for line in plain if "\x1b" in line] == []


def test_status_is_shown_again_until_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOORING_EDGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MOORING_EDGE_EXPERIMENT_WITHOUT_KEY", "true")
    rounds = iter([None, None])

    def sleep(_seconds: float) -> None:
        if next(rounds, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    assert main(["status", "--watch", "--json"]) == 130
    told = [json.loads(line)["running"] for line in capsys.readouterr().out.splitlines()]
    assert told == [False, False, False]


def test_signals_and_bytes_written_are_shown_where_they_are_known(tmp_path: Path, adapters: Path) -> None:
    named = settings(tmp_path, 1)
    locks: list[dict[str, object]] = [{"lock": None, "connected": True, "signal": one} for one in (-90, -50, None)]
    with status.only_one(named.state_dir):
        status.write(named.state_dir, {"broker": True, "locks": locks, "disk_written": 2_500_000})
        told = "\n".join(answers.status_of(named).lines)
        assert "signal   -50 dBm of the nearest lock, -90 dBm of the farthest" in told
        assert "written  2.5 MB to the disk since the start" in told
        assert levels(named, adapters)["signal"] == "warning"
        status.write(named.state_dir, {"broker": True, "locks": locks[1:]})
        assert not [line for line in answers.status_of(named).lines if line.startswith("written")]
        assert "signal" not in levels(named, adapters)


def test_status_has_colours_only_where_it_is_asked_for_them(tmp_path: Path) -> None:
    named = settings(tmp_path, 1)
    with status.only_one(named.state_dir):
        status.write(named.state_dir, {"broker": False, "locks": [], "unsendable": 1})
        plain, coloured = (answers.status_of(named, colour=colour).lines for colour in (False, True))
    assert "\x1b" not in "".join(plain) and len(plain) == len(coloured)
    marked = [line for line in coloured if line.startswith("\x1b")]
    assert [line[5:13].strip() for line in marked] == ["agent", "broker", "ALARM"]
    assert [line[:5] for line in marked] == ["\x1b[32m", "\x1b[31m", "\x1b[31m"]
