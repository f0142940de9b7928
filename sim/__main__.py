"""The simulator's commands. Exit codes: 0 all promises held (or accepted), 1 they did not (or rejected), 2 unusable."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from protocol.errors import MooringError
from sim import verify
from sim.arguments import add_runtime, make_folder, whole_number
from sim.scenarios import Result, perform, stories

OK, BROKEN, UNUSABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m sim`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sim", description="Mooring in software: a door, its world, and what can go wrong."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the scenarios and what they tell")
    listing.add_argument("--json", action="store_true", help="one JSON object")

    run = commands.add_parser(
        "run",
        help="run one scenario and check its promises",
        description="Runs a scenario in a world of its own. Exit code 0 only if every promise held.",
    )
    run.add_argument("scenario", metavar="SCENARIO", help="a name from `python -m sim list`")
    run.add_argument("--json", action="store_true", help="print one JSON object last on stdout")
    run.add_argument(
        "--seed", type=whole_number(0), default=1, metavar="N", help="chooses people, moments and faults (default 1)"
    )
    add_runtime(run)
    run.add_argument("--keep", type=Path, metavar="FOLDER", help="keep flash image, databases and logs here")

    judge = commands.add_parser(
        "verify", help="let the firmware's verifier judge a DeviceResponse", description=verify.__doc__
    )
    verify.add_arguments(judge)

    show = commands.add_parser(
        "demo", help="a guest's first check-in as a timeline, two refusals, and an outage that heals"
    )
    add_runtime(show)

    many = commands.add_parser(
        "soak",
        help="scenarios of radios and power cuts with many seeds, and a table",
        description="Plays each scenario of radios and power cuts with many seeds and prints what came of them as a "
        "table. Exit code 0 only if all held.",
    )
    many.add_argument(
        "--seeds", type=whole_number(0), default=200, metavar="N", help="seeds of noisy-air (default 200)"
    )
    many.add_argument("--first", type=whole_number(0), default=1, metavar="N", help="the first of them (default 1)")
    many.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what a noisy world that broke leaves behind")
    many.add_argument(
        "--others", type=whole_number(0), default=10, metavar="N", help="seeds of each other scenario (default 10)"
    )
    many.add_argument("--jobs", type=whole_number(1, 64), default=2, metavar="N", help="worlds at a time (default 2)")
    add_runtime(many)

    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            return _list(chosen.json)
        if chosen.command == "run":
            return _run(chosen)
        if chosen.command == "verify":
            return verify.run(chosen)
        if chosen.command == "soak":
            from sim import soak

            if chosen.keep:
                make_folder(chosen.keep, "--keep")
            return soak.run(
                range(chosen.first, chosen.first + chosen.seeds),
                chosen.others,
                chosen.jobs,
                chosen.runtime,
                chosen.keep,
            )
        from sim import demo

        return asyncio.run(demo.show(chosen.runtime))
    except MooringError as error:
        print(f"sim: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        # The machine failed the simulator, which is no promise that was broken.
        print(f"sim: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("sim: interrupted", file=sys.stderr)
        return 130


def _list(as_json: bool) -> int:
    if as_json:
        print(json.dumps({"scenarios": [{"name": story.name, "tells": story.tells} for story in stories.values()]}))
    else:
        width = max(len(name) for name in stories)
        for story in stories.values():
            print(f"{story.name:<{width}}  {story.tells}")
    return OK


def _run(chosen: argparse.Namespace) -> int:
    story = stories.get(chosen.scenario)
    if story is None:
        print(f"sim: no scenario {chosen.scenario!r}; see `python -m sim list`", file=sys.stderr)
        return UNUSABLE
    if chosen.keep:
        make_folder(chosen.keep, "--keep")
    say = (lambda text: print(f"  {text}", file=sys.stderr, flush=True)) if not chosen.json else None
    result = asyncio.run(perform(story, chosen.seed, chosen.runtime, chosen.keep, say))
    if chosen.json:
        print(json.dumps(result.as_json()))
    else:
        _tell(result)
    return OK if result.ok else BROKEN


def _tell(result: Result) -> None:
    for name, value in result.phases_ms.items():
        print(f"  {name:<18} {value:8.1f} ms")
    if result.error:
        print(f"  went wrong: {result.error}")
    broken = [promise.claim for promise in result.promises if not promise.held]
    for claim in broken:
        print(f"  broken: {claim}")
    verdict = "held" if result.ok else "BROKEN"
    print(
        f"{result.scenario}: {len(result.promises) - len(broken)} of {len(result.promises)} promises {verdict}; "
        f"{result.opened} opened, {result.records} records, {result.receipts} receipted, {result.duplicates} twice; "
        f"lock on {result.lock_runtime}; {result.seconds:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
