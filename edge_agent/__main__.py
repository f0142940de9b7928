"""The command of the edge agent: `python -m edge_agent COMMAND`; see `--help`."""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.environment import PACKAGES, lacking

if lacking("-m edge_agent", PACKAGES):
    raise SystemExit(2)

from edge_agent import answers, config, log, typed
from edge_agent.agent import Agent
from edge_agent.answers import Answer
from edge_agent.doctor import examine
from edge_agent.enrolment import enroll
from edge_agent.notify import Notifier
from protocol.command_line_cpython import DONE, INTERRUPTED, NO, UNUSABLE, Parser, error_line, failure
from protocol.errors import ConfigError, MooringError, StorageError

OK, FAILED = DONE, NO
WATCH_SECONDS = 2.0
"""Time between two answers of `status --watch`."""

_ANSWERS: dict[str, Callable[[config.Config, argparse.Namespace], Answer]] = {
    "check-config": lambda settings, _options: answers.check_config(settings),
    "status": lambda settings, options: answers.status_of(settings, colour=_colour() and not options.json),
    "queue": lambda settings, options: answers.queue(settings, with_quarantine=options.quarantine),
    "locks": lambda settings, _options: answers.locks(settings),
    "enroll": lambda settings, _options: enroll(settings),
    "doctor": lambda settings, options: examine(settings, colour=_colour() and not options.json),
}

_EPILOG = """\
configuration:
  /etc/mooring-edge/mooring-edge.toml, or --config FILE, or the file that MOORING_EDGE_CONFIG names. To start:
    {command} config > mooring-edge.toml
    Fill in province_public_key, then run: {command} check-config --config mooring-edge.toml
  An environment variable overrides a key: MOORING_EDGE_MQTT_HOSTS is mqtt.hosts. Commas separate the texts of a list.

exit codes:
  0  done; for status: the agent runs and the broker is connected
  1  it failed, or doctor or check-config found something bad, for the reason that is printed (disk, another agent, …)
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
    settings = config.load(options.config, os.environ, with_files=options.command != "enroll")
    if options.command == "run":
        return _run(settings, options)
    while True:
        answer = _ANSWERS[options.command](settings, options)
        watching = getattr(options, "watch", False)
        if watching and sys.stdout.isatty() and not options.json:
            print("\x1b[H\x1b[2J", end="")  # put the cursor into the first place, and clear the screen
        print(json.dumps(answer.facts) if options.json else "\n".join(answer.lines), flush=watching)
        if not watching:
            return answer.code
        time.sleep(WATCH_SECONDS)


def _colour() -> bool:
    """Return True if stdout is a terminal that shows colours. See https://no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


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
    add("check-config", "check the configuration, try what it names on this machine, and show what is in force")
    working = add("status", "say whether the agent works: broker, locks, outbox")
    working.add_argument("--watch", action="store_true", help="show it again every two seconds, until Ctrl-C")
    queue = add("queue", "show what waits for a receipt, by lock, and what was set aside")
    queue.add_argument(
        "--quarantine", action="store_true", help="list each record that was set aside or refused in error, and why"
    )
    add("locks", "list the locks: whether each is in reach, when it was last seen, and what waits for it")
    add("enroll", "make the keys of this edge, and say whom to give what; nothing that exists is replaced")
    add("doctor", "look at everything that the agent depends on, and say what to do")
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


if __name__ == "__main__":
    sys.exit(main())
