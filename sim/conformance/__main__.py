"""`python -m sim.conformance`: judge a province or a booking platform that somebody else has written."""

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from edge_agent.broker_address import Address
from edge_agent.config import LONGEST_PASSWORD, Mqtt
from protocol import crypto_cpython as crypto
from protocol import uplink
from protocol.command_line_cpython import DONE, Parser
from protocol.crypto import is_point
from protocol.errors import ConfigError, MooringError, TransportError
from sim import arguments
from sim.answer import failed
from sim.conformance import examples, ours
from sim.conformance.clauses import PLATFORM, PROVINCE
from sim.conformance.courier import Courier
from sim.conformance.dialogue import ProgramDialogue
from sim.conformance.kit import Kit
from sim.conformance.our_platform import OurPlatform
from sim.conformance.platform import PlatformJudge
from sim.conformance.province import DEADLINE_SECONDS, SETTLE_SECONDS, ProvinceJudge, Restart
from sim.conformance.verdict import UnjudgedError, Verdict, counts, exit_code
from sim.conformance.wire import MqttWire
from sim.progress import Progress, console

_CODES = "Ends with 0 if every clause held, 1 if one was broken, 2 if something could not be judged."
_OPTIONS = {
    "mqtt.hosts": "--host",
    "mqtt.port": "--port",
    "mqtt.ca": "--ca",
    "mqtt.cert": "--cert",
    "mqtt.key": "--cert-key",
    "mqtt.username": "--username",
}
"""The option of the judge for each setting that an error of the edge agent's connection may name."""


def parser() -> Parser:
    """Return the parser for the arguments of `python -m sim.conformance`."""
    top = Parser(
        prog="python -m sim.conformance",
        description="Judges a province or a booking platform by the clauses of docs/integration.md.",
    )
    top.add_version("sim.conformance")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    kit = commands.add_parser(
        "kit",
        help="make the locks, the edge and the platform of the judge",
        description="Writes a kit, and prints as one JSON object what your province must register. One kit is good for "
        "any number of runs.",
    )
    kit.add_argument("file", type=Path, metavar="FILE", help="the new file; it holds private keys")
    province = commands.add_parser(
        "province",
        help="judge a province",
        description=f"Plays an edge agent with the locks of a kit, at the broker of your province. {_CODES}",
    )
    province.add_argument("--host", type=arguments.host, default="127.0.0.1", help="the broker (default %(default)s)")
    province.add_argument(
        "--port", type=arguments.whole_number(1, 65535), default=1883, help="its port (default %(default)s)"
    )
    province.add_argument("--kit", type=Path, metavar="FILE", help="the kit that your province has registered")
    province.add_argument("--key", metavar="HEX", help="the province's public key: a point of P-256, 65 bytes in hex")
    province.add_argument("--ca", default="", metavar="FILE", help="the authority of the broker's certificate; TLS")
    province.add_argument("--cert", default="", metavar="FILE", help="the certificate that the judge shows")
    province.add_argument("--cert-key", default="", metavar="FILE", help="the key of that certificate")
    province.add_argument("--username", default="", metavar="NAME", help="user name at the broker")
    province.add_argument("--password-file", type=Path, metavar="FILE", help="its first line is the password")
    province.add_argument("--restart", metavar="COMMAND", help="a command that kills your province and starts it again")
    province.add_argument(
        "--records",
        type=arguments.whole_number(1, uplink.MAX_RECORDS),
        default=uplink.MAX_RECORDS,
        metavar="N",
        help="records in the large batch (default %(default)s)",
    )
    _add_common(province, PROVINCE, "judge the province of this repository")
    platform = commands.add_parser(
        "platform",
        help="judge a booking platform",
        description=f"Asks a program for grants, one JSON object a line, and reads them as a lock does. {_CODES}",
    )
    platform.add_argument(
        "program", nargs="*", metavar="PROGRAM", help="your program and its arguments, after `--` if they have options"
    )
    _add_common(platform, PLATFORM, "judge the platform of this repository")
    answer = commands.add_parser(
        "answer",
        help="be the platform of this repository",
        description="Answers the questions of `platform`, one JSON object a line, until the input ends.",
    )
    answer.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder with its bookings")
    commands.add_parser(
        "examples",
        help="print the messages in docs/integration.md",
        description="Makes the examples of docs/integration.md, byte for byte the same at each call.",
    )
    return top


def _add_common(command: Parser, clauses: Collection[str], of_ours: str) -> None:
    command.add_argument("--ours", action="store_true", help=of_ours)
    command.add_argument("--only", action="append", choices=clauses, metavar="ID", help="only this clause; repeatable")
    command.add_argument("--skip", action="append", choices=clauses, metavar="ID", help="not this clause; repeatable")
    command.add_argument(
        "--deadline",
        type=arguments.number(0.1, 3600),
        default=DEADLINE_SECONDS,
        metavar="SECONDS",
        help="longest wait for an answer (default %(default)s)",
    )
    command.add_json()


def _wanted(chosen: argparse.Namespace, clauses: Collection[str]) -> list[str]:
    wanted = [one for one in clauses if (not chosen.only or one in chosen.only) and one not in (chosen.skip or [])]
    if not wanted:
        raise ConfigError("conformance.clauses", "--only and --skip leave no clause. Leave out one of them")
    return wanted


async def _report(
    verdicts: Callable[[Callable[[str], None]], AsyncIterator[Verdict]], clauses: dict[str, str], as_json: bool
) -> int:
    said: list[Verdict] = []
    with Progress(console(stderr=True)) as progress:
        async for verdict in verdicts(
            lambda clause: progress.waiting(f"{clause} {clauses.get(clause, '')}".strip().rstrip("."))
        ):
            said.append(verdict)
            print(json.dumps(verdict.as_json(), ensure_ascii=False) if as_json else verdict.line(), flush=True)
    status = exit_code(said)
    if as_json:
        print(json.dumps({"ok": status == DONE, **counts(said), "exit_code": status}))
    else:
        print(", ".join(f"{count} {outcome}" for outcome, count in counts(said).items()))
    return status


# --- province --------------------------------------------------------------------------------------------------------


def _settings(chosen: argparse.Namespace, host: str, port: int) -> Mqtt:
    password = ""
    if chosen.password_file is not None:
        try:
            with chosen.password_file.open(encoding="utf-8") as file:
                password = file.readline(LONGEST_PASSWORD + 2).rstrip("\r\n")
            if len(password) > LONGEST_PASSWORD:
                raise ValueError
        except (OSError, ValueError):
            raise ConfigError(
                "conformance.password", f"{chosen.password_file} cannot be read. Name another --password-file"
            ) from None
    if bool(chosen.cert) != bool(chosen.cert_key) or (chosen.cert and not chosen.ca):
        raise ConfigError("conformance.tls", "--cert needs --cert-key and --ca. Give all three")
    return Mqtt(
        brokers=(Address(host, port),),
        keepalive_seconds=60,
        websocket_path="",
        username=chosen.username,
        password=password,
        ca=chosen.ca,
        cert=chosen.cert,
        key=chosen.cert_key,
    )


def _restart_by(command: str | None, deadline: float) -> Restart | None:
    if command is None:
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise ConfigError("conformance.restart", "--restart is no command. Give a program and its arguments")

    async def restart() -> None:
        nothing = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*words, stdin=nothing, stdout=nothing, stderr=nothing)
        except OSError as error:
            raise UnjudgedError(f"--restart {words[0]} cannot be started: {error.strerror}") from None
        try:
            async with asyncio.timeout(max(deadline, DEADLINE_SECONDS)):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise UnjudgedError(f"--restart {words[0]} did not end in time") from None
        if status:
            raise UnjudgedError(f"--restart {words[0]} ended with {status}")

    return restart


def _with_options(message: str) -> str:
    """Return an error of the edge agent's connection with the judge's options in place of the agent's settings."""
    for setting, option in _OPTIONS.items():
        message = message.replace(setting, option)
    return message


async def _judge_province(chosen: argparse.Namespace) -> int:
    wanted = _wanted(chosen, PROVINCE)
    async with contextlib.AsyncExitStack() as stack:
        if chosen.ours:
            if chosen.kit is not None or chosen.key is not None or chosen.restart is not None:
                raise ConfigError(
                    "conformance.ours", "--ours has a kit, a key and a restart of its own. Leave out yours"
                )
            running = await stack.enter_async_context(ours.running())
            kit, public = running.kit, running.public
            restart: Restart | None = running.restart
            settings = _settings(chosen, running.broker.host, running.broker.port)
        else:
            if chosen.kit is None or chosen.key is None:
                raise ConfigError("conformance.kit", "no kit or no key is given. Give --kit and --key, or --ours")
            kit, public = Kit.load(chosen.kit), _point(chosen.key)
            restart = _restart_by(chosen.restart, chosen.deadline)
            settings = _settings(chosen, chosen.host, chosen.port)
            stack.callback(kit.save, chosen.kit)
        try:
            with Progress(console(stderr=True)) as progress:
                progress.waiting(f"broker {settings.brokers[0]}")
                wire = await stack.enter_async_context(MqttWire.open(settings, chosen.deadline))
        except (ConfigError, TransportError) as error:
            raise type(error)(error.code, _with_options(error.message)) from None
        courier = Courier(wire, public, kit.platform_public, chosen.deadline)
        judge = ProvinceJudge(courier, kit, restart, chosen.records, SETTLE_SECONDS)

        def verdicts(begins: Callable[[str], None]) -> AsyncIterator[Verdict]:
            def saved_and_begins(clause: str) -> None:
                if not chosen.ours:
                    kit.save(chosen.kit)  # a counter that is used twice would be the judge's own fault
                begins(clause)

            return judge.judge(wanted, saved_and_begins)

        return await _report(verdicts, PROVINCE, chosen.json)


def _point(text: str) -> bytes:
    try:
        public = bytes.fromhex(text)
    except ValueError:
        public = b""
    if not is_point(crypto, "P-256", public):
        raise ConfigError("conformance.key", "--key is not a public key. Give a point of P-256, 65 bytes in hex")
    return public


# --- platform --------------------------------------------------------------------------------------------------------


async def _judge_platform(chosen: argparse.Namespace) -> int:
    wanted = _wanted(chosen, PLATFORM)
    with tempfile.TemporaryDirectory(prefix="mooring-conformance-") as folder:
        program: Sequence[str] = chosen.program
        if chosen.ours:
            if program:
                raise ConfigError("conformance.ours", "--ours is a program of its own. Leave out yours, or --ours")
            program = (sys.executable, "-m", "sim.conformance", "answer", "--data", folder)
        elif not program:
            raise ConfigError(
                "conformance.program", "no program is given. Name your platform's program, or give --ours"
            )
        async with ProgramDialogue.open(program, chosen.deadline) as dialogue:
            judge = PlatformJudge(dialogue)
            return await _report(lambda begins: judge.judge(wanted, begins), PLATFORM, chosen.json)


def _answer(folder: Path) -> int:
    arguments.make_folder(folder, "--data")
    try:
        platform = OurPlatform(folder)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError("conformance.data", f"{folder} holds no bookings of ours. Name another --data") from None
    for line in sys.stdin:
        try:
            question: Any = json.loads(line)
        except (ValueError, RecursionError):
            question = None
        told = platform.answer(question) if isinstance(question, dict) else {"refused": "not a JSON object"}
        print(json.dumps(told), flush=True)
    return DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "kit":
            if chosen.file.is_file():
                raise ConfigError(
                    "conformance.kit",
                    f"{chosen.file} exists already, and your province may have registered it. Name a new file",
                )
            kit = Kit.new()
            kit.save(chosen.file)
            print(json.dumps(kit.to_register(), indent=2))
            return DONE
        if chosen.command == "examples":
            print(examples.page(), end="")
            return DONE
        if chosen.command == "answer":
            return _answer(chosen.data)
        judge = _judge_province if chosen.command == "province" else _judge_platform
        return asyncio.run(judge(chosen))
    except (MooringError, OSError, KeyboardInterrupt) as error:
        if isinstance(error, BrokenPipeError):
            # The reader of the output (`| head`) has left, so nobody would read a message.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        return failed(error, getattr(chosen, "json", False))


if __name__ == "__main__":
    sys.exit(main())
