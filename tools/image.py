"""Makes the files that our own image freezes. These are the modules that the lock needs, in their lean form.

The manifest in `firmware/image` calls `lean_tree` while MicroPython is built. The `mpy-cross` of that build compiles
the modules.
"""

from pathlib import Path

from tools.software import IMAGE, ROOT, lean_sources, needed

TREE = "build/image"
"""Folder in the checkout to which the lean modules are written."""

RUNS_FIRST = ("_boot.py", "main.py")
"""The files in the image's folder `modules`, in the order in which MicroPython runs them."""


def identity(root: Path = ROOT) -> str:
    """Return the identity of our own image. The identity is the name of the image's folder.

    MicroPython's build takes the name of the board from that folder. On the lock, this identity is
    `sys.implementation._build`.
    """
    (board,) = (file.parent.name for file in (root / IMAGE).glob("*/mpconfigboard.cmake"))
    return board


def lean_tree(root: Path = ROOT) -> tuple[str, tuple[str, ...]]:
    """The image freezes certain modules. Write the lean form of these modules to a folder. Return the folder and the
    paths in it.

    MicroPython's build compiles every file that was written after the last build. So a file that is already right is
    not written again. Everything else in the folder is removed. Raises the errors of `needed`.
    """
    folder = root / TREE
    modules = lean_sources(needed(root, image=identity(root)))[0]
    for path, content in modules.items():
        file = folder / path
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in folder.rglob("*"):
        if file.is_file() and file.relative_to(folder).as_posix() not in modules:
            file.unlink()
    return str(folder), tuple(modules)
