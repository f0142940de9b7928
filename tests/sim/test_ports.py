"""Reserved ports: each caller gets its own port, and keeps this port even while nobody listens there."""

import subprocess
import sys

from sim.board.interpreter import ROOT
from sim.ports import ReservedPort

ASK = "from sim.ports import ReservedPort; print(ReservedPort(range({0}, {1})).port)"


def test_a_reserved_port_is_nobody_elses_until_it_is_let_go() -> None:
    first = ReservedPort()
    near = [sys.executable, "-c", ASK.format(first.port, first.port + 4)]
    others = [int(subprocess.run(near, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(8)]
    assert first.port not in others
    first.close()
    again = ReservedPort(range(first.port, first.port + 1))
    assert again.port == first.port
    again.close()
