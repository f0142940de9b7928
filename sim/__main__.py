"""The simulator's commands.

Exit codes: 0 if all promises held or the file was accepted, 1 if a promise did not hold or the file was rejected, and
2 if the command line is unusable.
"""

import argparse
import asyncio
import json
import sys
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sim.environment import incomplete

if incomplete("-m sim"):
    raise SystemExit(2)

from edge_agent.counted import counted
from protocol.command_line_cpython import DONE, NO, Parser, error_line
from protocol.errors import ConfigError, MooringError
from sim.answer import failed
from sim.arguments import add_language, add_runtime, make_folder, whole_number, writable
from sim.words import phrase

# Importing the parts of a site takes a second or two. So the command first prints that it is loading.
if TYPE_CHECKING:
    from sim.scenarios import Result

OK, BROKEN = DONE, NO

_GREETING = """
[bold]Mooring[/bold]  {subject}
[dim]{real}
{simulated}
{invented}[/dim]
"""
_VERIFY = (
    """The firmware's verifier judges one DeviceResponse, by default on MicroPython.

FILE is a JSON object: `device_response`, `session_transcript`, `trust_roots`
(a list), all in hex; `time`, ISO 8601, UTC unless it has an offset; and if
wanted `reader_private_key` (hex; a deviceMac needs it), `doc_types` (a list).
docs/sample-response.json is one.""",
    """prints one JSON object:
  {"ok", "accepted", "runtime", "documents": [{"docType", "elements"}],
   "error": null | {"code", "message"}}
exit code: 0 accepted, 1 rejected, 2 FILE cannot be used, or no interpreter""",
)


def parser() -> Parser:
    """Parser of the arguments of `python -m sim`."""
    top = Parser(
        prog="python -m sim", description="Mooring in software: doors, all that is around them, and what can go wrong."
    )
    top.add_version("sim")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the scenarios, with what happens in each")
    listing.add_json()

    run = commands.add_parser(
        "run",
        help="run one scenario and check its promises",
        description="Runs a scenario at a site of its own. The exit code is 0 only if every promise held.",
    )
    run.add_argument("scenario", metavar="SCENARIO", help="a name from `python -m sim list`")
    run.add_json()
    run.add_argument(
        "--seed", type=whole_number(0), default=1, metavar="N", help="chooses people, moments and faults (default 1)"
    )
    add_runtime(run)
    run.add_argument("--profile", default="CN", metavar="ID", help="the jurisdiction's profile (default %(default)s)")
    run.add_argument("--keep", type=Path, metavar="FOLDER", help="keep flash image, databases and logs here")

    description, epilog = _VERIFY
    judge = commands.add_parser(
        "verify",
        help="let the firmware's verifier judge a DeviceResponse",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    judge.add_argument("file", metavar="FILE", help="the JSON file that holds the case")
    add_runtime(judge)

    show = commands.add_parser(
        "demo", help="show a first check-in as a timeline, two refusals, and an outage that ends"
    )
    show.add_argument("--svg", type=Path, metavar="FILE", help="draw the check-in into FILE as well")
    add_language(show)
    add_runtime(show)

    live = commands.add_parser(
        "live",
        help="show a site in a browser, with buttons, until Ctrl-C",
        description="Builds a site and serves a page that shows it as it happens. Only this machine can open the page. "
        "Exit code: 0 stopped by Ctrl-C, 2 bad arguments, the port is in use, a package is missing, or no interpreter.",
    )
    live.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=8437,
        metavar="N",
        help="port of the page; 0 for any (default 8437)",
    )
    live.add_argument("--doors", type=whole_number(1, 4), default=2, metavar="N", help="number of doors (default 2)")
    live.add_argument("--story", metavar="NAME", help="play this story first: `tour`, or a name from `sim list`")
    live.add_argument("--open", action="store_true", help="open the page in a browser if there is a display")
    live.add_json()
    add_language(live)
    add_runtime(live)

    pictures = commands.add_parser(
        "signs",
        help="draw the signals of the door, a picture for each",
        description="Draws the light and the tone of each signal of the door into FOLDER, as SVG. The firmware's own "
        "table is drawn.",
    )
    pictures.add_argument("folder", type=Path, metavar="FOLDER", help="the folder for the pictures")
    pictures.add_json()

    profile = commands.add_parser("profile", help="check a jurisdiction profile")
    actions = profile.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check",
        help="say whether a profile is good, and if not, why",
        description="Says whether a profile is good, and if not, why. A good one in protocol/profiles/ can be "
        "played with `sim run --profile ID`. Exit code: 0 good, 1 not, 2 FILE cannot be read.",
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", help="the JSON file of the profile; its name is the profile's id"
    )

    many = commands.add_parser(
        "soak",
        help="run the scenarios of radios and power cuts with many seeds",
        description="Plays each scenario of radios and power cuts with many seeds and prints the results as a "
        "table. The exit code is 0 only if all promises held.",
    )
    many.add_argument(
        "--seeds", type=whole_number(0), default=200, metavar="N", help="seeds of noisy-air (default 200)"
    )
    many.add_argument("--first", type=whole_number(0), default=1, metavar="N", help="the first of them (default 1)")
    many.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the files of a noisy site if a promise does not hold there"
    )
    many.add_argument(
        "--others", type=whole_number(0), default=10, metavar="N", help="seeds of each other scenario (default 10)"
    )
    many.add_argument("--jobs", type=whole_number(1, 64), default=2, metavar="N", help="sites at a time (default 2)")
    add_runtime(many)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m sim` and return the exit code."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "list":
            return _list(chosen.json)
        if chosen.command == "run":
            return _run(chosen)
        if chosen.command == "live":
            return _live(chosen)
        if chosen.command == "verify":
            from sim import verify

            return verify.run(chosen)
        if chosen.command == "signs":
            return _signs(chosen.folder, chosen.json)
        if chosen.command == "profile":
            return _check_profile(chosen.file)
        if chosen.command == "soak":
            from sim import soak

            if chosen.keep:
                make_folder(chosen.keep, "--keep", empty=True)
            return soak.run(
                range(chosen.first, chosen.first + chosen.seeds),
                chosen.others,
                chosen.jobs,
                chosen.runtime,
                chosen.keep,
            )
        return _demo(chosen)
    except (MooringError, OSError, KeyboardInterrupt) as error:
        return failed(error, getattr(chosen, "json", False))


def _demo(chosen: argparse.Namespace) -> int:
    if chosen.svg:
        writable(chosen.svg, "--svg")
    from sim.progress import Progress, console

    with Progress(console(), language=chosen.lang) as progress:
        progress.print(_greeting(chosen.lang))
        progress.waiting(phrase("loading the parts"))
        from sim import demo

        return demo.show(progress, chosen.runtime, chosen.svg)


def _greeting(language: str) -> str:
    """Return the first lines of the demo, in rich's markup."""
    return _GREETING.format(
        subject=phrase("one door, from a guest's tap to the province's receipt").said(language),
        real=phrase("Real: firmware and interpreter, edge agent, MQTT, SQLite, littlefs, credential.").said(language),
        simulated=phrase("In software: the board's chips, the radio waves, the phone, the province.").said(language),
        invented=phrase("Every person here is invented.").said(language),
    )


def _live(chosen: argparse.Namespace) -> int:
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            "live.packages",
            f"the page needs {' and '.join(missing)}. Install the dependency group: pip install --group live",
        )
    from sim.live import command

    settings = command.Settings(chosen.port, chosen.doors, chosen.runtime, chosen.lang, chosen.story, chosen.open)
    return command.run(settings, chosen.json)


def _signs(folder: Path, as_json: bool) -> int:
    make_folder(folder, "FOLDER")
    from sim.paper import sign_picture
    from sim.signs import signs

    files = []
    for sign in signs():
        files.append(folder / f"{sign.name}.svg")
        files[-1].write_text(sign_picture.drawn(sign).svg(), encoding="utf-8")
    if as_json:
        print(json.dumps({"ok": True, "files": [str(file) for file in files]}))
    else:
        print(f"{folder}: {len(files)} pictures")
    return OK


def _list(as_json: bool) -> int:
    from sim.scenarios import stories

    if as_json:
        print(
            json.dumps(
                {"ok": True, "scenarios": [{"name": story.name, "tells": story.tells} for story in stories.values()]}
            )
        )
    else:
        width = max(len(name) for name in stories)
        for story in stories.values():
            first, *rest = textwrap.wrap(story.tells, 80 - width - 2)
            print(f"{story.name:<{width}}  {first}")
            for line in rest:
                print(f"{'':<{width}}  {line}")
    return OK


def _check_profile(file: Path) -> int:
    from protocol.profile import Profile
    from sim import profiles

    try:
        body = profiles.read(file)
    except ConfigError as error:
        if error.code == "profile.unreadable":
            raise
        print(error_line(error.code, error.message), file=sys.stderr)
        return BROKEN
    found = Profile.parse(body)
    documents, requests = counted(len(body["documents"]), "document type"), counted(len(found.requests), "request")
    print(f"{file}: good. Profile {found.id}, version {found.serial}: {documents} in {requests}")
    return OK


def _run(chosen: argparse.Namespace) -> int:
    if chosen.keep:
        make_folder(chosen.keep, "--keep", empty=True)
    from sim.progress import Progress, console

    # With --json, stdout is for a program. If stderr is a terminal, the progress is shown there.
    shown = console(stderr=True)
    with Progress(shown, shows=not chosen.json or shown.is_terminal) as progress:
        progress.waiting(phrase("loading the parts"))
        from sim import profiles
        from sim.scenarios import perform, stories

        profiles.named(chosen.profile)
        story = stories.get(chosen.scenario)
        if story is None:
            raise ConfigError(
                "site.scenario", f"there is no scenario {chosen.scenario!r}. `python -m sim list` shows all"
            )
        result = asyncio.run(perform(story, chosen.seed, chosen.runtime, chosen.keep, progress.step, chosen.profile))
    if chosen.json:
        print(json.dumps(result.as_json()))
    else:
        _tell(result)
    return OK if result.ok else BROKEN


def _tell(result: "Result") -> None:
    for name, value in result.phases_ms.items():
        print(f"  {name:<18} {value:8.1f} ms")
    if result.error:
        print(f"  went wrong: {result.error}")
    broken = [promise.claim for promise in result.promises if not promise.held]
    for claim in broken:
        print(f"  broken: {claim}")
    promises = counted(len(result.promises), "promise")
    print(f"{result.scenario}: {len(result.promises) - len(broken)} of {promises} {'held' if result.ok else 'BROKEN'}")
    print(
        f"  {counted(result.opened, 'opening')}, {counted(result.records, 'record')}, "
        f"{counted(result.receipts, 'receipt')}, {result.duplicates} twice; lock on {result.lock_runtime}; "
        f"{result.seconds:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
