"""The wheel: the rooms that the installed commands need, placed in one package `mooring`.

In this repository, a room is imported by its own name (`from protocol import cbor`). PyPI is shared by everyone, so a
package installed from there must not claim names such as `protocol`. While hatchling builds the wheel, `BuildHook`
copies the rooms to `mooring/` and puts `mooring.` before the name of a room wherever it is imported. No line is added
or removed, so the line numbers of a traceback are those of this repository.

The sdist holds the repository's own files, including this file. So the same wheel can be built from the sdist.
"""

import ast
import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "mooring"
ROOMS = ("edge_agent", "protocol")
"""Rooms that `mooring-edge` needs."""
COMMANDS = {"edge_agent": "mooring-edge"}
"""For each room, the command that replaces `python -m ROOM` in an installed wheel. pyproject.toml lists the same
commands in `project.scripts`."""
KINDS = (".cddl", ".json", ".py", ".service", ".toml", ".yml")
"""Endings of the files that go into the wheel."""

_ROOM = "|".join(ROOMS)
_IMPORT = re.compile(rf"from\s+(?=(?:{_ROOM})\b)".encode())
_RUN = re.compile(rf"python -m ({_ROOM})\b(?!\.\w)")
_MODULE = re.compile(rf"(?<=-m )(?=(?:{_ROOM})\b)")
_QUOTED = re.compile(rf"(?<=`)(?=(?:{_ROOM})\.[a-z])")

_INIT = '''"""The part of Mooring that is installed: the edge agent, and the byte formats that it needs."""

from mooring.protocol import VERSION as __version__

__all__ = ["__version__"]
'''


def packaged(root: Path) -> dict[str, bytes]:
    """Return the files of the wheel by their paths in the wheel, made from the rooms under `root`."""
    files = {f"{PACKAGE}/__init__.py": _INIT.encode()}
    for room in ROOMS:
        for file in sorted((root / room).rglob("*")):
            if file.suffix in KINDS:
                path = file.relative_to(root).as_posix()
                content = file.read_bytes()
                content = moved(content, path) if file.suffix == ".py" else _named(content)
                files[f"{PACKAGE}/{path}"] = content
    return files


def moved(content: bytes, path: str) -> bytes:
    """Return the module `content` as it must be inside `mooring`. The move changes imports, commands in messages, and
    names in comments.

    Raises ValueError for `import ROOM`, because such an import binds the room's own name, which does not exist inside
    `mooring`.
    """
    lines = content.splitlines(keepends=True)
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in ROOMS:
                    raise ValueError(f"{path}:{node.lineno}: write `from {alias.name} import …` instead")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ROOMS:
            line, start = lines[node.lineno - 1], node.col_offset
            changed, count = _IMPORT.subn(rf"\g<0>{PACKAGE}.".encode(), line[start:], count=1)
            if count != 1:
                raise ValueError(f"{path}:{node.lineno}: write this import in one line")
            lines[node.lineno - 1] = line[:start] + changed
    return _named(b"".join(lines))


def _named(content: bytes) -> bytes:
    """Return `content` with the names that commands and modules have after the installation."""
    text = content.decode()
    text = _RUN.sub(lambda found: COMMANDS.get(found[1], f"python -m {PACKAGE}.{found[1]}"), text)
    for place in (_MODULE, _QUOTED):
        text = place.sub(f"{PACKAGE}.", text)
    return text.encode()


class BuildHook(BuildHookInterface[BuilderConfig]):  # type: ignore[misc, unused-ignore]  # only with hatchling installed
    """The hook that hatchling calls. pyproject.toml names this file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Give hatchling the files of the wheel. Raises ValueError for an editable install, because the hook copies the
        rooms, so later edits would have no effect.
        """
        if version == "editable":
            raise ValueError("an editable install would not follow your edits; run the rooms from the checkout instead")
        self._folder = tempfile.TemporaryDirectory(prefix="mooring-wheel-")
        for path, content in packaged(Path(self.root)).items():
            file = Path(self._folder.name) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            build_data["force_include"][str(file)] = path

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what `initialize` made."""
        self._folder.cleanup()
