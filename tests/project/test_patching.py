"""No test replaces a function of ours, so a test that passes has run the code that is shipped.

If a test needs a different part, the test passes this part in as a parameter, an object or a file. This rule also holds
for constants. The tables below name each constant that a test may set.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.support.sources import MAY_IMPORT, name, sources

OURS = MAY_IMPORT.keys() - {"tests"}

EXCEPTIONS = {
    "firmware.hardware.ticks.now": "the chip's counter: hardware, for which a test stands in as the simulator does",
    "firmware.hardware.ticks.since": "wraps with the chip's counter",
    "firmware.crypto.generator.urandom": "the chip's generator: MicroPython lets nobody set it in its module `os`",
}
"""The exceptions: names that a test may replace, each with the reason."""

CONSTANTS = {
    "edge_agent.announcements.ASK_PASS_SECONDS": "waits for a real agent on a real loop; nothing else sets this time",
    "edge_agent.config.DEFAULT_PATH": "a path below /etc, which a test may not write",
    "edge_agent.lock_connection.SEEK_SECONDS": "the test waits for it, with a radio in real time",
    "edge_agent.lock_connection.HELLO_SECONDS": "as SEEK_SECONDS",
    "edge_agent.lock_connection.RESULT_SECONDS": "as SEEK_SECONDS",
    "firmware.door.policy.MAX_STAYS": "plants the defect that the test of equal work must notice",
    "protocol.stay_key.MAX_KEYS": "as MAX_STAYS",
    "firmware.hardware.keypad.DEAF_MS": "a parameter of this on the lock would cost heap; the test waits for it",
    "firmware.hardware.keypad.PAUSE_MS": "as DEAF_MS",
    "firmware.hardware.signals.UNIT_MS": "as DEAF_MS",
    "firmware.hardware.strike.LOOK_MS": "as DEAF_MS",
    "firmware.hardware.strike.PULSE_MS": "as DEAF_MS",
    "firmware.hardware.watchdog.SERVED_MS": "as DEAF_MS",
    "firmware.hardware.watchdog._LOOP_MS": "as DEAF_MS",
    "firmware.memory.clock.DRIFT_PPM": "plants the defect that the stories of the clock must notice",
    "firmware.memory.entries._AT_ONCE": "switches the counting of entries off, for tests of other subjects",
    "firmware.memory.entries._WINDOW_MS": "as _AT_ONCE",
    "firmware.memory.visits.VISIT_THRESHOLD": "the measurement on RV32 draws the collector's curve with it",
    "protocol.link_session.MESSAGES_LIMIT": "nobody seals two to the power of 32 messages in a test",
    "sim.profiles.FOLDER": "the command finds its profiles in the repository, which a test may not change",
}
"""Constants that a test may set, each with the reason. On the lock, a parameter takes memory, but a constant does not.
"""

FILES = {
    "tests/on_micropython/power_cut_board.py": "plants defects, to show that the test of power cuts finds them",
    "tests/on_micropython/moments.py": "lets an event come at each reading of the chip's counter",
    "tests/on_micropython/session_moments_board.py": "makes time limits short, which stand in a table",
    "tests/on_micropython/ble_board.py": "makes time limits short, which arrive as JSON",
    "tests/sim/test_fittings.py": "composes a board of its own from the pins of another",
    "tests/project/test_patching.py": "shows what is found",
}
"""Programs that compute the names that they set, so this test cannot find these names. Each has a reason."""


SETTERS = ("setattr", "object", "patch")
"""Functions of pytest, Python and `unittest.mock` that replace something. Each entry is the last part of a name.
"""


def imported(tree: ast.AST) -> dict[str, str]:
    """Return the full name of each name that is imported from our rooms."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in OURS:
                    names |= {alias.asname: alias.name} if alias.asname else {alias.name.split(".")[0]: ""}
    return names


def replaced(source: str) -> Iterator[str]:
    """Yield the full names of our own objects that `source` replaces. If a string in `source` is a program, yield what
    this program replaces too. A name that is computed is yielded as an expression.
    """
    tree = ast.parse(source)
    names = imported(tree)

    def whole(owner: ast.expr, member: str) -> Iterator[str]:
        root, _, rest = ast.unparse(owner).partition(".")
        if root in names:
            yield ".".join(part for part in (names[root] or root, rest, member) if part)

    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            try:
                yield from replaced(node.value)
            except SyntaxError:  # a sentence
                continue
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from whole(node.value, node.attr)
        elif isinstance(node, ast.Call) and (called := ast.unparse(node.func)).split(".")[-1] in SETTERS and node.args:
            first, *others = [ast.literal_eval(each) if isinstance(each, ast.Constant) else each for each in node.args]
            if isinstance(first, str):
                yield from [first] * (first.split(".")[0] in OURS)
            elif isinstance(first, ast.expr):
                known = list(whole(first, str(others[0]) if others and isinstance(others[0], str) else "?"))
                yield from known or [ast.unparse(first)] * (called == "setattr")


def test_no_test_replaces_a_function_or_a_constant_of_ours() -> None:
    found = {
        (name(file), full)
        for file in sources("tests")
        if name(file) not in FILES
        for full in replaced(file.read_text(encoding="utf-8"))
        if full not in EXCEPTIONS | CONSTANTS
    }
    assert found == set()


def test_each_exception_is_needed() -> None:
    files = {name(file): set(replaced(file.read_text(encoding="utf-8"))) for file in sources("tests")}
    allowed = EXCEPTIONS.keys() | CONSTANTS.keys()
    assert allowed <= set[str]().union(*(files[file] for file in files.keys() - FILES.keys()))
    assert [file for file in FILES if files[file] <= allowed] == []
    assert [full for full in CONSTANTS if not full.rpartition(".")[2].isupper()] == []


@pytest.mark.parametrize(
    ("source", "full"),
    [
        ("from sim import broker\ndef test(patch): patch.setattr(broker, 'available', list)", "sim.broker.available"),
        ("def test(m): m.setattr('sim.broker.available', list)", "sim.broker.available"),
        ("from sim.broker import Broker\nBroker.start = None", "sim.broker.Broker.start"),
        ("import sim.broker\nsim.broker.available = list", "sim.broker.available"),
        ("from sim import broker\nbroker.LIMIT = 1", "sim.broker.LIMIT"),
        ("import sim.broker as b\nb.available, c = list, 1", "sim.broker.available"),
        ("from sim import broker as b\nwith patch.object(b, 'available'): pass", "sim.broker.available"),
        ("from unittest.mock import patch\n@patch('sim.broker.available')\ndef test(): pass", "sim.broker.available"),
        ("run('from sim import broker\\nbroker.available = list')", "sim.broker.available"),
        ("setattr(*planted)", "*planted"),
    ],
)
def test_a_function_that_is_replaced_is_found(source: str, full: str) -> None:
    assert list(replaced(source)) == [full]


@pytest.mark.parametrize(
    "source",
    [
        "import socket\ndef test(m): m.setattr(socket, 'create_connection', None)",
        "from sim.broker import Broker\nbroker = Broker()\nbroker.host = 'x'",
        "def test(m): m.setenv('sim.broker', '1')",
        "SENTENCE = 'to import goods, sim.broker = what you need'",
    ],
)
def test_what_is_not_ours_or_is_made_for_the_test_may_be_set(source: str) -> None:
    assert list(replaced(source)) == []
