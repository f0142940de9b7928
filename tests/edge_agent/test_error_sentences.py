"""An error that people can mend has two sentences: the first says what is wrong, the second says what to do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import edge_agent
from edge_agent import database

MENDABLE = {"ConfigError", "StorageError"}


def template(node: ast.expr) -> str | None:
    """Return the text of a string, with X in place of each inserted value; None if the node is not a string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return None


def messages() -> Iterator[tuple[str, str]]:
    """Yield each place in the code where such an error is built, with the error's message."""
    for path in sorted(Path(edge_agent.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [
            (node.lineno, node.targets[0].id, template(node.value))
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in MENDABLE and len(node.args) == 2:
                message = node.args[1]
                if isinstance(message, ast.Name):
                    # Take the last text that was assigned to this name before this line.
                    found = [text for line, name, text in sorted(texts) if name == message.id and line < node.lineno]
                    said = found[-1] if found else None
                else:
                    said = template(message)
                if said is not None:
                    yield f"{path.name}:{node.lineno}", said


def test_each_error_that_people_can_mend_says_what_to_do() -> None:
    said = list(messages())
    said += [(code, advice) for code, advice in (*database._ADVICE.values(), database._CORRUPT)]
    assert len(said) > 50
    for place, message in said:
        first, _, remedy = message.partition(". ")
        # A function may return the second sentence, for example "Did you mean …?".
        assert first and (remedy.endswith(".") or remedy == "X"), f"{place}: {message}"
