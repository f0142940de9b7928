"""`python -m sim.province`: run a province by hand, or show what one holds."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from rich.console import Console

from protocol.errors import ConfigError
from sim.province import view
from sim.province.province import Province
from sim.province.store import Store


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim.province",
        description="The province stand-in: the one party that can open what locks register.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser(
        "show",
        help="show what a province holds",
        description="Show locks with their counters and receipts, every registration with its fields and the verdict "
        "on its quality, what is in quarantine and why, and how much came twice. It may be running meanwhile.",
    )
    show.add_argument("--data", type=Path, required=True, metavar="DIR", help="the province's data folder")
    show.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    run = commands.add_parser(
        "run",
        help="run a province until interrupted",
        description="Consume from the broker, commit, and answer, until SIGINT or SIGTERM. Several may run on one data "
        "folder and share the work. Keys are made there the first time; the one printed is for enrolling locks.",
    )
    run.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the province's data folder; made if missing"
    )
    run.add_argument("--host", default="127.0.0.1", help="the broker's host (default %(default)s)")
    run.add_argument(
        "--admit",
        action="append",
        default=[],
        metavar="EDGE",
        help="let the edge of this name have a pass for all locks, with the next key that asks; may be repeated",
    )
    run.add_argument("--port", type=int, default=1883, help="the broker's MQTT 5 port (default %(default)s)")
    return parser


def _show(folder: Path, as_json: bool) -> int:
    if not (folder / "province.db").exists():
        raise ConfigError("province.data", f"{folder} holds no province; --data names the folder that one ran with")
    store = Store(folder)
    if as_json:
        print(json.dumps(view.as_json(store), ensure_ascii=False))
    else:
        view.show(store, Console())
    store.close()
    return 0


def _run(folder: Path, host: str, port: int, admitted: list[str]) -> int:
    province = Province(folder, host, port)
    for edge in admitted:
        province.admit_edge(edge)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    province.start()
    print(f"province key {province.public.hex()}", flush=True)
    over.wait()
    province.stop()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 2 something to mend, and the message says what."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "show":
            return _show(chosen.data, chosen.json)
        return _run(chosen.data, chosen.host, chosen.port, chosen.admit)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
