"""The judge's commands: with our own province at a real broker, and with peers that are dead or hostile."""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.broker_address import Address
from edge_agent.config import Mqtt
from protocol import uplink
from protocol.errors import TransportError
from sim import broker as brokers
from sim.conformance.__main__ import main
from sim.conformance.clauses import PLATFORM, PROVINCE
from sim.conformance.courier import Courier
from sim.conformance.dialogue import ProgramDialogue
from sim.conformance.kit import EDGE, Kit
from sim.conformance.ours import register
from sim.conformance.platform import PlatformJudge
from sim.conformance.province import ProvinceJudge
from sim.conformance.verdict import Verdict, exit_code
from sim.conformance.wire import MqttWire
from sim.hang import HANG_SECONDS
from sim.ports import ReservedPort
from sim.province import Province
from tests.support.hostile_broker import Attack, HostileBroker, Session, packet, publish

KEY = ["--key", "04" + Kit.new().platform_public.hex()[2:]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[list[str], Kit]]:
    """Our province at a real broker, with a registered kit: the arguments of the judge, and the kit."""
    kit, file = Kit.new(), tmp_path / "kit.json"
    kit.save(file)
    with brokers.Broker(brokers.available()[-1]) as broker:
        province = Province(tmp_path / "province", broker.host, broker.port)
        register(province, kit)
        province.start()
        try:
            yield ["province", "--port", str(broker.port), "--kit", str(file), "--key", province.public.hex()], kit
        finally:
            province.stop()


def test_our_province_holds_every_clause_and_a_kit_serves_again(
    site: tuple[list[str], Kit], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, _ = site
    assert main([*arguments, "--restart", "true", "--records", "16", "--json"]) == 0
    *lines, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(line["clause"], line["outcome"]) for line in lines] == [(clause, "pass") for clause in PROVINCE]
    assert last == {"ok": True, "pass": len(PROVINCE), "fail": 0, "unjudged": 0, "exit_code": 0}
    again = [word for clause in ("P8", "P11", "P14", "P15", "P27") for word in ("--only", clause)]
    assert main([*arguments, *again]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == "5 pass, 0 fail, 0 unjudged"
    assert main([*arguments, "--only", "P23"]) == 2 and "--restart" in capsys.readouterr().out
    assert main([*arguments, "--only", "P23", "--restart", "false"]) == 2 and "ended with 1" in capsys.readouterr().out


def test_a_kit_can_be_written_and_read_and_is_private(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kit.json"
    assert main(["kit", str(file)]) == 0
    told = json.loads(capsys.readouterr().out)
    kit = Kit.load(file)
    assert {lock["identity"] for lock in told["locks"]} == {lock.public.hex() for lock in kit.locks.values()}
    assert file.stat().st_mode & 0o77 == 0 and kit.link.hex() not in str(told) and kit.platform.hex() not in str(told)


def test_a_kit_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kit.json"
    Kit.new().save(file)
    before = file.read_bytes()
    assert main(["kit", str(file)]) == 2 and file.read_bytes() == before
    assert capsys.readouterr().err.startswith(f"conformance.kit: {file} exists already")


def test_a_pipe_is_no_kit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert main(["province", "--kit", str(tmp_path / "pipe"), *KEY]) == 2
    assert "is not a kit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["province", "--only", "P1", "--skip", "P1"], "conformance.clauses"),
        (["platform", "--ours", "--only", "B1", "--skip", "B1"], "conformance.clauses"),
        (["province", "--ours", "--kit", "kit.json"], "conformance.ours"),
        (["province", "--ours", *KEY], "conformance.ours"),
        (["province", "--ours", "--restart", "true"], "conformance.ours"),
        (["platform", "--ours", "true"], "conformance.ours"),
    ],
)
def test_arguments_that_exclude_each_other_are_refused(
    arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"{code}: ")


def test_an_error_of_the_connection_names_the_options_of_the_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, missing = tmp_path / "kit.json", tmp_path / "ca.pem"
    Kit.new().save(file)
    assert main(["province", "--kit", str(file), *KEY, "--ca", str(missing)]) == 2
    assert capsys.readouterr().err.startswith(f"config.file: --ca: cannot read {missing}: ")


def test_a_program_that_has_ended_costs_a_line_for_each_clause_and_no_noise(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["platform", "true"]) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == len(PLATFORM) + 1
    assert told.err == "" and caplog.messages == []


@pytest.mark.parametrize("content", ["", "{}", "[]", "\xff", '{"locks": {"papers": 1}}', "null", "[" * 100_000])
def test_what_is_no_kit_is_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kit.json"
    file.write_bytes(content.encode("latin-1"))
    assert main(["province", "--kit", str(file), *KEY]) == 2
    assert capsys.readouterr().err.startswith("conformance.kit: ")


def test_without_a_broker_nothing_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kit.json"
    Kit.new().save(file)
    with contextlib.closing(ReservedPort()) as nobody:
        assert main(["province", "--port", str(nobody.port), "--kit", str(file), *KEY]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("broker.unreachable: ") and told.out == ""


# --- hostile brokers -------------------------------------------------------------------------------------------------


def judged(broker: HostileBroker, *wanted: str) -> list[Verdict]:
    async def story() -> list[Verdict]:
        async with broker.open():
            settings = Mqtt((Address("127.0.0.1", broker.port),), 60, "", "", "", "", "", "")
            async with MqttWire.open(settings, deadline=HANG_SECONDS) as wire:
                kit = Kit.new()
                courier = Courier(wire, kit.link_public, kit.platform_public, deadline=0.05)
                judge = ProvinceJudge(courier, kit, None, 1, settle=0.05)
                return [verdict async for verdict in judge.judge(wanted or PROVINCE, lambda _clause: None)]

    return asyncio.run(story())


def test_where_nobody_answers_each_clause_is_broken_or_not_judged() -> None:
    verdicts = judged(HostileBroker())
    assert exit_code(verdicts) == 1 and {each.clause for each in verdicts} == set(PROVINCE)
    silent = {each.clause for each in verdicts if each.outcome == "pass"}
    assert silent == {"P5", "P7"}, "these forbid an answer"
    assert "within 0.05 s" in next(each.line() for each in verdicts if each.clause == "P6")


async def _ends(session: Session) -> None:
    await session.until(lambda: session.published > 0)  # the edge's state, with which it is connected
    await session.send(packet(0xE0, b"\x8b"))


async def _talks(session: Session) -> None:
    for leaf in (uplink.CMD, uplink.RECEIPT, uplink.PASS):
        for payload in (b"", b"\xff", b"\x82\x01\x80", b"\x9f" * 90, bytes(100_000)):
            await session.send(publish(uplink.topic(EDGE, leaf), payload, qos=0))


@pytest.mark.parametrize(("attack", "told"), [(_ends, "the broker is gone"), (_talks, "P24")])
def test_a_hostile_broker_ends_in_a_verdict(attack: Attack, told: str) -> None:
    verdicts = judged(HostileBroker(attack), "P1", "P6", "P8", "P24", "P26")
    lines = [each.line() for each in verdicts if each.outcome != "pass"]
    assert exit_code(verdicts) in (1, 2) and any(told in line for line in lines), lines


def test_a_broker_that_refuses_to_speak_is_an_error_with_a_code() -> None:
    with pytest.raises(TransportError) as caught:
        judged(HostileBroker(connacks=(b"\x20\x03\x00\x87\x00",)))
    assert caught.value.code == "broker.login"


# --- hostile programs ------------------------------------------------------------------------------------------------

PROGRAMS = {
    "dead": ("exit 3", "the end of the program"),
    "silent": ("read line; exec sleep 60", "nothing within"),
    "deaf": ("exec sleep 60", "nothing within"),
    "no JSON": ("read line; echo hello; cat", "hello"),
    "no object": ("read line; echo '[1]'; cat", "[1]"),
    "half a line": ("read line; printf '{'", "half a line"),
    "a key that is no text": ("read line; echo '{\"key\": 4}'; cat", "{'key': 4}"),
    "control characters": ("read line; printf '\\033[2J\\n'; cat", "?[2J"),
    "endless": ("yes | tr -d '\\n'", "a line of more than"),
    "deeply nested": ("head -c 60000 /dev/zero | tr '\\0' '['; echo; cat", "[[[["),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_hostile_program_ends_in_a_verdict(program: str) -> None:
    script, told = PROGRAMS[program]
    # Where the program says nothing at all, the deadline is short, because no answer can come.
    deadline = 0.1 if told == "nothing within" else 60.0

    async def story() -> list[Verdict]:
        async with ProgramDialogue.open(["sh", "-c", script], deadline) as dialogue:
            return [verdict async for verdict in PlatformJudge(dialogue).judge(["B1"], lambda _clause: None)]

    [verdict] = asyncio.run(story())
    assert verdict.outcome == "fail" and told in verdict.came, verdict


def test_a_program_that_is_not_there_is_an_error_with_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platform", "--", "/nowhere/program"]) == 2
    assert capsys.readouterr().err.startswith("conformance.program: ")
