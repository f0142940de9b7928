"""The rooms of the lock are as docs/architecture.md describes them. No files import each other in a circle."""

import re
from graphlib import TopologicalSorter

from tests.support.sources import MAY_IMPORT, ROOT, Import, imports, name, sources


def rows_of_rooms() -> list[list[str]]:
    """Return the rooms of the lock, in the order of the table's rows."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.split("| room | question | in it |\n")[1].split("\n\n")[0]
    return [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines()[1:]]


def wanted_by(room: str) -> list[Import]:
    """Return every import in `room`, including imports for types only."""
    return [one for file in sources(room) for one in imports(file)]


def test_the_table_of_rooms_has_every_folder_of_the_lock() -> None:
    folders = {
        file.relative_to(ROOT / "firmware").parts[0] for file in sources("firmware") if file.parent.name != "firmware"
    }
    assert {room for row in rows_of_rooms() for room in row} == folders


def test_a_room_of_the_lock_knows_only_those_above_it_in_the_table() -> None:
    known: set[str] = set()
    for row in rows_of_rooms():
        known |= set(row)
        for room in row:
            wanted = {
                one: one.module.split(".")[1] for one in wanted_by(f"firmware/{room}") if "firmware." in one.module
            }
            rooms_and_files = {path.stem for path in (ROOT / "firmware").iterdir()}
            assert [str(one) for one, part in wanted.items() if part in rooms_and_files - known] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {name(file).removesuffix(".py").removesuffix("/__init__").replace("/", "."): file
             for file in sources(*MAY_IMPORT)}  # fmt: skip
    needs: dict[str, set[str]] = {}
    for module, file in files.items():
        wanted = [one.module for one in imports(file)]  # includes imports for types only
        found = {want if want in files else want.rpartition(".")[0] for want in wanted}
        needs[module] = (found & files.keys()) - {module}
    assert list(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle


def test_nothing_stands_on_the_live_page_but_its_command() -> None:
    outside = [file for file in sources("sim") if "live" not in file.relative_to(ROOT / "sim").parts]
    wanted = [one for file in outside for one in imports(file) if one.module.startswith("sim.live")]
    assert {one.file for one in wanted} == {"sim/__main__.py"}


def test_the_live_page_knows_the_province_only_as_a_site_does() -> None:
    """The page shows what the province holds. The page has nothing to do with the province's own commands and pages."""
    allowed = {"sim.province.store.Registration", "sim.province.view.KINDS"}
    wanted = {one.module for file in sources("sim/live") for one in imports(file) if "sim.province" in one.module}
    assert wanted <= allowed
