"""The Debian package: its files, its control data, and the same bytes each time. Nothing is fetched here."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from edge_agent import config
from protocol.errors import ConfigError
from tests.support.sources import ROOT
from tools import deb

BOOKWORM, TRIXIE = deb.TARGETS[0], deb.TARGETS[2]
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


def wheel(folder: Path, *members: str) -> Path:
    path = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "content")
    return path


def test_the_lock_file_gives_versions_markers_and_hashes() -> None:
    lines, hashes = deb.pinned((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    names = {line.partition("==")[0] for line in lines}
    assert names >= {"bleak", "cbor2", "cryptography", "dbus-fast", "paho-mqtt", "cffi"}
    assert len(hashes) > len(lines) and not any("hash" in line or "\\" in line for line in lines)
    marked = "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:" + "ab" * 32
    assert deb.pinned(marked) == (["colorama==0.4.6 ; sys_platform == 'win32'"], frozenset({"ab" * 32}))


@pytest.mark.parametrize("member", ["../out.py", "/etc/out.py", "some-1.0.data/scripts/some"])
def test_a_wheel_with_files_for_other_places_is_refused(tmp_path: Path, member: str) -> None:
    with pytest.raises(ConfigError, match=r"deb\.wheel"):
        deb.unpack(wheel(tmp_path, "some/__init__.py", member), tmp_path / "root")
    deb.unpack(wheel(tmp_path, "some/__init__.py"), tmp_path / "root")
    assert (tmp_path / "root/some/__init__.py").read_text(encoding="utf-8") == "content"


@needs_dpkg
def test_the_package_is_the_same_each_time_and_says_which_python_it_is_for(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        before = os.umask(0o077 if name == "two" else 0o022)
        try:
            deb.stage(TRIXIE, [wheel(tmp_path, "some/__init__.py")], tmp_path / name)
            deb.pack(tmp_path / name, tmp_path / f"{name}.deb", 1_800_000_000)
        finally:
            os.umask(before)
        made.append((tmp_path / f"{name}.deb").read_bytes())
    assert made[0] == made[1]

    def told(*options: str) -> str:
        command = ["dpkg-deb", *options, str(tmp_path / "one.deb")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    control = told("--field")
    assert "python3 (>= 3.13~), python3 (<< 3.14~)" in control and f"Version: {TRIXIE.version}\n" in control
    listed = {line.split()[5]: line.split()[:2] for line in told("--contents").splitlines()}
    assert listed["./usr/bin/mooring-edge"] == ["-rwxr-xr-x", "root/root"]
    assert listed["./etc/mooring-edge/mooring-edge.toml"] == ["-rw-r--r--", "root/root"]
    assert "./usr/lib/mooring-edge/some/__init__.py" in listed


def test_the_package_puts_its_files_where_agent_and_unit_look_for_them(tmp_path: Path) -> None:
    deb.stage(BOOKWORM, [], tmp_path)
    assert (tmp_path / str(config.DEFAULT_PATH)[1:]).read_text(encoding="utf-8") == config.default_text()
    unit = (tmp_path / "usr/lib/systemd/system/mooring-edge.service").read_text(encoding="utf-8")
    [program] = [line.split()[0] for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert (tmp_path / program.removeprefix("ExecStart=/")).exists()
    [user] = [line.removeprefix("User=") for line in unit.splitlines() if line.startswith("User=")]
    assert f"--group --no-create-home --home /nonexistent {user}\n" in (tmp_path / "DEBIAN/postinst").read_text()


@needs_dpkg
def test_a_later_debian_has_a_higher_version_and_a_candidate_a_lower_one() -> None:
    for lower, higher in (
        (BOOKWORM.version, TRIXIE.version),
        (f"{BOOKWORM.version.partition('+')[0]}~rc1+deb13", BOOKWORM.version),
    ):
        assert subprocess.run(["dpkg", "--compare-versions", lower, "lt", higher], check=False).returncode == 0


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_the_scripts_are_read_by_the_shell(script: str) -> None:
    subprocess.run(["sh", "-n", deb.DEBIAN / script], check=True)


def test_the_time_of_all_files_can_be_named() -> None:
    assert deb.commit_time({"SOURCE_DATE_EPOCH": "1800000000"}) == 1_800_000_000
