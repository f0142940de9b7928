"""An object is changed only by its own methods, or by the file that defines its class. So nothing on an object is set
from outside after the object was made.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.support.sources import name, sources

ROOMS = ("firmware", "protocol", "edge_agent", "tools", "sim")
EXCEPTIONS = {
    "firmware/nfc/hsu.py": "sets the error of MicroPython's own task, whose name a class of ours has too",
    "sim/board/modules/machine.py": "sets a flag of Python's own timer, whose name a class of ours has too",
}
"""Files that change objects of other files, each with the reason."""


def declared(tree: ast.Module) -> set[str]:
    """Return the attributes that the classes in `tree` declare, in their body or by an assignment to `self`."""
    found = set()
    for each in [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]:
        for statement in each.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        found |= {change.attr for change in changes(each) if ast.unparse(change.value) == "self"}
    return found


def changes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Yield each attribute in `tree` that is assigned or deleted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node


def changes_from_outside(modules: dict[str, str]) -> Iterator[str]:
    """Yield each change of an attribute that a class of another module declares. `modules` has the sources by name."""
    trees = {module: ast.parse(text) for module, text in modules.items()}
    own = {module: declared(tree) for module, tree in trees.items()}
    ours = set().union(*own.values())  # other names are attributes of a library's objects
    for module, tree in trees.items():
        for change in changes(tree):
            if ast.unparse(change.value) not in ("self", "cls") and change.attr in ours - own[module]:
                yield f"{module}:{change.lineno} {ast.unparse(change)}"


def test_no_object_is_changed_from_outside_the_file_that_defines_its_class() -> None:
    modules = {name(file): file.read_text(encoding="utf-8") for file in sources(*ROOMS)}
    found = list(changes_from_outside(modules))
    assert [change for change in found if change.split(":")[0] not in EXCEPTIONS] == []
    assert EXCEPTIONS.keys() <= {change.split(":")[0] for change in found}, "each exception is needed"


@pytest.mark.parametrize(
    "change", ["line.sent = 1", "line.sent += 1", "del line.sent", "a, line.sent = 1, 2", "self.line.sent: int = 1"]
)
def test_such_a_change_is_found(change: str) -> None:
    line = "class Line:\n    def __init__(self) -> None:\n        self.sent = 0\n"
    use = f"def use(self, line):\n    {change}\n    socket.timeout = line.sent\n"
    assert list(changes_from_outside({"line.py": line + use})) == []
    found = list(changes_from_outside({"line.py": line, "use.py": use}))
    assert len(found) == 1 and found[0].startswith("use.py:2 ") and found[0].endswith("line.sent")
