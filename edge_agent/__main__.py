"""The command of the edge agent: `python -m edge_agent COMMAND`; see `--help`."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.environment import PACKAGES, lacking

if lacking("-m edge_agent", PACKAGES):
    raise SystemExit(2)

from edge_agent import config, database, inventory, log, status, typed
from edge_agent.agent import Agent
from edge_agent.counted import counted
from edge_agent.notify import Notifier
from protocol.command_line_cpython import DONE, INTERRUPTED, NO, UNUSABLE, Parser, error_line, failure
from protocol.errors import ConfigError, MooringError, StorageError

OK, FAILED, NOT_WORKING = DONE, NO, 3

_EPILOG = """\
configuration:
  /etc/mooring-edge/mooring-edge.toml, or --config FILE, or the file that MOORING_EDGE_CONFIG names. To start:
    {command} config > mooring-edge.toml
    Fill in province_public_key, then run: {command} check-config --config mooring-edge.toml
  An environment variable overrides a key: MOORING_EDGE_MQTT_HOST is mqtt.host. Commas separate the texts of a list.

exit codes:
  0  done; for status: the agent runs and the broker is connected
  1  it failed, for the reason that is printed (disk, another agent, …)
  2  the command line or the configuration cannot be used; the message says what to change
  3  status only: the agent does not run, has never run here, or has no broker

A record is in the outbox, and in the lock as well, until the province has signed a receipt for it. So no record is lost
if this machine is lost.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. An error that people can mend is printed as one line."""
    options = parser().parse_args(arguments)
    try:
        code = _perform(options)
        # Flush here. If the flush fails when the interpreter exits, Python reports the failure badly.
        sys.stdout.flush()
        return code
    except MooringError as error:
        return _fail(error, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The program that read our output has ended (`| head`), so do not print an error.
        _drop_output()
        return FAILED
    except OSError as error:
        # The operating system refused something at a place where no module expects an error.
        place = f"{error.filename}: " if error.filename else ""
        reason = f"{place}{error.strerror or type(error).__name__}. Mend what the system says, then try again."
        code = _fail(StorageError("edge.system", reason), options)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return code


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _perform(options: argparse.Namespace) -> int:
    if options.command == "config":
        print(config.default_text(), end="")
        return OK
    settings = config.load(options.config, os.environ)
    return {"run": _run, "check-config": _check, "status": _status, "queue": _queue}[options.command](settings, options)


def _fail(error: MooringError, options: argparse.Namespace) -> int:
    status = UNUSABLE if isinstance(error, ConfigError) else FAILED
    print(error_line(error.code, error.message), file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps(failure(error.code, error.message, status)))
    return status


def parser() -> Parser:
    """Return the parser for the arguments of `python -m edge_agent`."""
    top = Parser(
        prog=typed.command(),
        description="Carries sealed records from Mooring locks (Bluetooth) to the province (MQTT), and signed "
        "statements back. It cannot read the records.",
        epilog=_EPILOG.format(command=typed.command()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_version("mooring-edge")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, with_json: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
        if with_json:
            command.add_json()
        return command

    run = add("run", "run the agent until SIGTERM or SIGINT; logs go to stdout", with_json=False)
    run.add_argument("--json-log", action="store_true", help="log one JSON object a line, whatever log.json says")
    add("check-config", "check the configuration and show what is in force")
    add("status", "say whether the agent works: broker, locks, outbox")
    queue = add("queue", "show what waits for a receipt, by lock, and what was set aside")
    queue.add_argument(
        "--quarantine", action="store_true", help="list each record that was set aside or refused in error, and why"
    )
    text = "print an annotated default configuration"
    commands.add_parser("config", help=text, description=text[0].upper() + text[1:] + ".")
    return top


def _run(settings: config.Config, options: argparse.Namespace) -> int:
    log.start(settings.log.level, settings.log.json or options.json_log)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        with Agent.open(settings, Notifier(os.environ)) as agent:
            await agent.run(stop)

    asyncio.run(serve())
    return OK


def _check(settings: config.Config, options: argparse.Namespace) -> int:
    facts = {
        "ok": True,
        "source": str(settings.source) if settings.source else None,
        "name": settings.name,
        "state_dir": str(settings.state_dir),
        "mqtt": {"host": settings.mqtt.host, "port": settings.mqtt.port, "tls": bool(settings.mqtt.ca)},
        "locks": list(settings.locks.addresses),
        "receipts_verified": settings.province_public_key is not None,
    }
    if options.json:
        print(json.dumps(facts))
        return OK
    print(f"{settings.source or 'no file, defaults and environment only'}: good")
    print(f"  edge {settings.name}, outbox in {settings.state_dir}")
    print(f"  broker {settings.mqtt.host}:{settings.mqtt.port}, {'TLS' if settings.mqtt.ca else 'without TLS'}")
    print(f"  locks: {', '.join(settings.locks.addresses) or 'searched for'}")
    if settings.province_public_key is None:
        print("  EXPERIMENT: without province_public_key, anyone who reaches the broker can delete records here")
    return OK


def _status(settings: config.Config, options: argparse.Namespace) -> int:
    running = status.is_running(settings.state_dir)
    said = status.read(settings.state_dir) if running else {}
    broker, locks, version = bool(said.get("broker")), said.get("locks", []), said.get("version")
    faults, strangers = said.get("faults", {}), said.get("strangers", 0)
    contents = _contents(settings)
    working = running and broker
    if options.json:
        facts = {
            "ok": working,
            "running": running,
            "version": version,
            "broker": broker,
            "locks": locks,
            "faults": faults,
        }
        facts |= {"strangers": strangers}
        print(json.dumps(facts | {"outbox": vars(contents) if contents else None}))
        return OK if working else NOT_WORKING
    print(f"agent    {'running' if running else 'not running'}{f', version {version}' if version else ''}")
    print(f"broker   {'connected' if broker else 'not connected'}")
    print(f"locks    {sum(lock['connected'] for lock in locks)} of {len(locks)} connected")
    if strangers:
        print(f"         {counted(strangers, 'address', 'addresses')} claiming to be a lock of ours, without proof")
    if faults:
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        print(f"faults   {told} since the start. These are bugs: please report the agent.fault lines of the log")
    if contents is None:
        print(f"outbox   none in {settings.state_dir}: no agent has ever run with this state_dir")
    else:
        oldest = "" if contents.oldest_seconds is None else f", oldest {contents.oldest_seconds:.0f} s"
        print(f"outbox   {counted(contents.records, 'record')}, {counted(contents.bytes, 'byte')}{oldest}")
        print(f"         {contents.quarantined} set aside, {_wait(contents.statements, 'statement')} for locks")
        _tell_disputed(contents)
    return OK if working else NOT_WORKING


def _tell_disputed(contents: inventory.Counts) -> None:
    if contents.disputed:
        which = "1 record that its lock" if contents.disputed == 1 else f"{contents.disputed} records that their locks"
        print(f"ALARM    the province refuses {which} did sign. Kept here. Tell the province")


def _contents(settings: config.Config) -> inventory.Counts | None:
    """Count what is in the outbox. If no agent has run here, there is no outbox, and the result is None."""
    try:
        with contextlib.closing(database.open_for_reading(settings.outbox_path)) as connection:
            return inventory.counts(connection)
    except StorageError as error:
        if error.code != "outbox.missing":
            raise
        return None


def _queue(settings: config.Config, options: argparse.Namespace) -> int:
    with contextlib.closing(database.open_for_reading(settings.outbox_path)) as connection:
        contents = inventory.counts(connection)
        by_lock = inventory.queue_by_lock(connection)
        aside = inventory.quarantine(connection) if options.quarantine else []
        disputed = inventory.disputed(connection) if options.quarantine else []
    if options.json:
        facts: dict[str, object] = {"ok": True, "records": contents.records, "bytes": contents.bytes, "locks": by_lock}
        facts |= {
            "oldest_seconds": contents.oldest_seconds,
            "quarantined": contents.quarantined,
            "disputed": contents.disputed,
        }
        print(json.dumps(facts | ({"quarantine": aside, "refused": disputed} if options.quarantine else {})))
        return OK
    print(f"{counted(contents.records, 'record')}, {counted(contents.bytes, 'byte')}; {contents.quarantined} set aside")
    for row in by_lock:
        print(f"  {row['lock']}  {_counters(row)}")
    _tell_disputed(contents)
    for row in disputed:
        print(f"  kept {row['lock']} counter {row['counter']}: the province says {row['code']}")
    for row in aside:
        print(f"  set aside {row['lock']} counter {row['counter']}: {row['code']}")
    return OK


def _wait(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'waits' if number == 1 else 'wait'}"


def _counters(row: Mapping[str, Any]) -> str:
    """Say how many records of one lock wait for a receipt, and name the lowest and the highest counter."""
    if row["records"] == 1:
        return f"1 record, counter {row['first']}"
    return f"{counted(int(row['records']), 'record')}, counters {row['first']} to {row['last']}"


if __name__ == "__main__":
    sys.exit(main())
