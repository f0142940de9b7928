"""Runs the real edge agent with its adapter on the simulated air:

    python -m sim.radio.edge_on_air --hci 127.0.0.1:4711 -- run --config edge.toml

Everything after `--` goes unchanged to the edge agent's own entry point, `edge_agent.__main__.main`.
"""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import cast

from sim.radio import bleak_backend


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the edge agent. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="sim.radio.edge_on_air", description=__doc__)
    parser.add_argument("--hci", required=True, metavar="HOST:PORT", help="where the air serves HCI")
    parser.add_argument("--until-input-ends", action="store_true", help="end at once when standard input has ended")
    parser.add_argument("agent", nargs=argparse.REMAINDER, help="arguments of the edge agent, after --")
    options = parser.parse_args(arguments)
    if options.until_input_ends:
        threading.Thread(target=_end_with_input, daemon=True).start()
    agent_arguments = options.agent[1:] if options.agent[:1] == ["--"] else options.agent
    entry = cast("Callable[[list[str]], int]", importlib.import_module("edge_agent.__main__").main)
    with bleak_backend.install(options.hci):
        return entry(agent_arguments)


def _end_with_input() -> None:
    """End this process when the simulator has ended, even if the simulator was killed.

    Otherwise the agent would go on, and connect to the broker of another site that later gets the same port.
    """
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
