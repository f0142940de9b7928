"""The documents are true: both READMEs say the same, and every file, test and command that a document names exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from protocol import statement, uplink
from sim.board.interpreter import ROOT
from sim.scenarios import stories
from sim.signs import in_words, signs

TRANSLATED = {
    "docs/demo.svg": "docs/demo.zh.svg",
    "docs/live.png": "docs/live.zh.png",
    "docs/door-signals.md": "docs/door-signals.zh-CN.md",
}
"""The pictures and pages that exist in both languages, by the file that the English README names."""
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\.venv/bin/python -m (\S+) (\S+)(.*)$", re.MULTILINE)
_PLACE = re.compile(r"(?<!new: )`((?:protocol|firmware|edge_agent|sim|tools|tests|docs|\.ci)/[\w./-]+)`")
_RAISED = re.compile(
    r"(?:Format|Verification|Refused|Transport|Storage|Config)Error\(\s*\"([a-z0-9-]+)\.[a-z0-9_.-]*\"", re.MULTILINE
)


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def prose(file: Path) -> str:
    return _BLOCK.sub("", text(file))


def headings(file: Path) -> list[int]:
    """Return the level of each heading, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(file), re.MULTILINE)]


def links(file: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(file))


def anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_both_readmes_have_the_same_headings_and_blocks() -> None:
    assert headings(ENGLISH) == headings(CHINESE)
    ours, theirs = _BLOCK.findall(text(ENGLISH)), _BLOCK.findall(text(CHINESE))
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    # Diagrams and output are translated. All other blocks are the same in both languages, because people copy them.
    translated = ("mermaid", "text")
    assert [block for kind, block in ours if kind not in translated] == [
        block for kind, block in theirs if kind not in translated
    ]


def test_both_readmes_have_the_same_lists_tables_and_links() -> None:
    for line in (r"^- ", r"^\| "):
        counts = [len(re.findall(line, prose(file), re.MULTILINE)) for file in (ENGLISH, CHINESE)]
        assert counts[0] == counts[1], line
    pages = [sorted({link for link in links(file) if "#" not in link and "README" not in link})
             for file in (ENGLISH, CHINESE)]  # fmt: skip
    assert [TRANSLATED.get(page, page) for page in pages[0]] == pages[1]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_local_link_leads_somewhere(file: Path) -> None:
    for link in links(file):
        if not re.match(r"[a-z]+:", link):
            page, _, anchor = link.partition("#")
            target = (file.parent / page) if page else file
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_file_that_a_document_names_exists(file: Path) -> None:
    # Check only files, not folders. Some folders, such as build/, exist only in a working copy.
    named = [place for place in _PLACE.findall(text(file)) if not place.endswith("/")]
    assert [place for place in named if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_test_and_scenario_that_a_document_names_exists(file: Path) -> None:
    tests = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", text(path))
    }
    assert [name for name in re.findall(r"`(test_\w+)`", text(file)) if name not in tests] == []
    assert [name for name in re.findall(r"sim run ([a-z][a-z-]+)", text(file)) if name not in {*stories, "name"}] == []


def test_the_threat_model_shows_each_claim_by_something_that_runs() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", text(ROOT / "docs/threat-model.md"), re.MULTILINE)
    claims = [row for row in rows if row[2] not in ("shown by", "---", "against")]
    unknown = {word for row in claims for word in re.findall(r"`([a-z-]+)`", row[2])} - stories.keys()
    assert len(claims) > 40 and unknown == set()
    places = ("the section above", "every scenario")
    assert [row for row in claims if "`" not in row[2] and not row[2].startswith(places) and len(row[0]) > 1] == []


COMMANDS = sorted({found for file in (ENGLISH, CHINESE) for found in _COMMAND.findall(text(file))})


@pytest.mark.parametrize(("module", "command", "rest"), COMMANDS, ids=[" ".join(one[:2]) for one in COMMANDS])
def test_every_command_of_the_readmes_exists_with_its_options(module: str, command: str, rest: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [option for option in re.findall(r"--[a-z-]+", rest) if option not in done.stdout] == []
    if (module, command) == ("sim", "run"):
        assert rest.split()[0] in stories


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    for file in DOCUMENTS:
        named = re.findall(r"(?:^|`)make ([a-z]+)", text(file), re.MULTILINE)
        assert set(named) <= targets, file.name


def test_the_table_of_signals_is_that_of_the_firmware() -> None:
    page = text(ROOT / "docs/door-signals.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+)$", page.split("## ")[0], re.MULTILINE))
    assert list(rows) == [sign.name for sign in signs()]
    for sign in signs():
        light, rhythm, sound = rows[sign.name].split(" | ")[:3]
        shown = "".join(str(int(word in light or "all three" in light)) for word in ("red", "green", "blue"))
        assert (shown, rhythm) == (sign.colour, in_words(sign.light)), sign.name
        assert sound.endswith(f"({sign.hertz} Hz), {in_words(sign.tone)}") if sign.hertz else (sound == "none"), (
            sign.name
        )


def test_the_chinese_page_of_signals_has_the_same_signals_tones_and_codes() -> None:
    english, chinese = (text(ROOT / "docs" / name) for name in ("door-signals.md", "door-signals.zh-CN.md"))
    tones = re.compile(r"^\| `(\w+)` \|.*?(?:[（(](\d+) Hz[）)]|none|无)", re.MULTILINE)
    assert tones.findall(english)[: len(signs())] == tones.findall(chinese)[: len(signs())]
    codes = [
        [
            re.findall("`(.+?)`", row.split("|")[1])
            for row in re.findall(r"^\|.+$", page.split(heading)[1], re.MULTILINE)
        ]
        for page, heading in ((english, "## If it is red"), (chinese, "## 红灯时"))
    ]
    assert codes[0] == codes[1] and len(codes[0]) > 20
    words = {
        "one": "一",
        "two": "两",
        "three": "三",
        "six": "六",
        "long": "长",
        "short": "短",
        "steady": "长亮",
        "dark": "不亮",
    }
    colours = {"000": "不亮", "100": "红", "010": "绿", "001": "蓝", "110": "黄", "011": "青", "101": "紫", "111": "白"}
    for sign in signs():
        rhythm = "".join(words[word] for word in in_words(sign.light).replace(",", "").split())
        assert f"\n| `{sign.name}` | {colours[sign.colour]} | {rhythm} |" in chinese


def test_every_family_of_error_codes_is_in_the_table() -> None:
    sources = [
        path for room in ("protocol", "firmware", "edge_agent", "tools", "sim") for path in (ROOT / room).rglob("*.py")
    ]
    raised = {family for path in sources for family in _RAISED.findall(text(path))}
    table = text(ROOT / "docs/formats.md").split("| family |")[1]
    assert len(raised) > 30
    assert raised - set(re.findall(r"`([a-z0-9-]+)`", table)) == set()


def test_every_format_has_its_row_in_the_index() -> None:
    index = text(ROOT / "docs/formats.md").split("## Index")[1].split("\n## ")[0]
    descriptions = [path.relative_to(ROOT).as_posix() for path in (ROOT / "protocol").rglob("*.cddl")]
    assert len(descriptions) > 10
    assert [path for path in descriptions if f"`{path}`" not in index] == []
    # One file describes the bodies of all statements. The module of a statement has the name of the statement's kind.
    named = {"time": "signed_time", "trust-list": "trust"}
    modules = [named.get(kind, kind.replace("-", "_")) for kind in statement.KINDS]
    assert [module for module in modules if f"`protocol/{module}.py`" not in index] == []


def test_the_table_of_topics_is_that_of_the_uplink() -> None:
    table = text(ROOT / "docs/formats.md").split("## Topics")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(mooring/\S+)` \| .* \| (.+) \|$", table, re.MULTILINE))
    assert rows.keys() == {f"{uplink.ROOT}<edge>/{leaf}" for leaf in uplink.LEAVES}
    assert f"`{uplink.PROVINCE_FILTER}`" in table
    up = re.search(r"^up = (.+)$", text(ROOT / "protocol/uplink.cddl"), re.MULTILINE)
    assert up is not None
    messages = [message.replace("-", " ") for message in up[1].split(" / ")]
    assert rows[f"{uplink.ROOT}<edge>/up"].split(", ") == messages


@pytest.mark.parametrize(("file", "shown"), [("demo.svg", "the strike opens"), ("demo.zh.svg", "电锁扣打开")])
def test_each_picture_is_small_and_fetches_nothing(file: str, shown: str) -> None:
    picture = text(ROOT / "docs" / file)
    assert len(picture) < 250_000
    assert "url(http" not in picture and 'url("' not in picture
    assert shown in picture.replace("&#160;", " ")


@pytest.mark.parametrize("file", ["live.png", "live.zh.png"])
def test_each_picture_of_the_live_page_is_small_and_as_wide_as_the_others(file: str) -> None:
    picture = (ROOT / "docs" / file).read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 200_000
    assert int.from_bytes(picture[16:20], "big") == 1120
