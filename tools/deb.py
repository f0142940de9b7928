"""Builds Debian packages of the edge agent into dist/: `python -m tools.deb`, or `make deb`.

There is one package for each release of Debian and each architecture, because some of the Python packages are compiled
for one version of Python. These are inside the package, in the versions and with the hashes of requirements.lock. So
nothing is fetched when the package is installed.

The same commit gives the same bytes if dpkg-deb and hatchling have the same version: each file has the time of the
commit, or the time in SOURCE_DATE_EPOCH.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol import VERSION
from protocol.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
SERVICE = ROOT / "edge_agent" / "service"
DEBIAN = SERVICE / "debian"
LIBRARY = "usr/lib/mooring-edge"
"""Folder of the Python packages in the Debian package."""
CONFIGURATION = "etc/mooring-edge/mooring-edge.toml"
_GLIBC = ("2_17", "2_26", "2_27", "2_28", "2_31", "2_34")
"""Versions of glibc for which wheels are built. Debian 12 has 2.36."""
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Target:
    """A release of Debian, its number and its Python, and an architecture as Debian and as Python call it."""

    suite: str
    number: int
    python: tuple[int, int]
    architecture: str
    machine: str

    @property
    def version(self) -> str:
        """The version of the package. A later release of Debian has a higher one, so that an upgrade replaces it."""
        return VERSION.replace("rc", "~rc") + f"+deb{self.number}"

    @property
    def name(self) -> str:
        """The name of the package's file."""
        return f"mooring-edge_{self.version}_{self.architecture}.deb"


TARGETS = tuple(
    Target(suite, number, python, architecture, machine)
    for suite, number, python in (("bookworm", 12, (3, 11)), ("trixie", 13, (3, 13)))
    for architecture, machine in (("amd64", "x86_64"), ("arm64", "aarch64"))
)


def pinned(text: str) -> tuple[list[str], frozenset[str]]:
    """Return the constraints (name, version and marker) and the hashes of a lock file."""
    found = [_PINNED.match(line) for line in text.splitlines()]
    lines = [f"{one[1]}=={one[2]}" + (f" ; {one[3]}" if one[3] else "") for one in found if one]
    return lines, frozenset(_HASH.findall(text))


def wheels(target: Target, own: Path, folder: Path) -> list[Path]:
    """Fetch the wheels that the agent's wheel `own` needs on `target` into `folder`. Return them and `own`.

    Raises ConfigError: `deb.fetch` if one cannot be had, `deb.hash` if it is not the one of requirements.lock.
    """
    constraints, hashes = pinned((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    (folder / "constraints.txt").write_text("\n".join(constraints) + "\n", encoding="utf-8")
    python = "".join(map(str, target.python))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--only-binary", ":all:"]
    command += ["--constraint", str(folder / "constraints.txt"), "--implementation", "cp", "--python-version", python]
    command += [option for glibc in _GLIBC for option in ("--platform", f"manylinux_{glibc}_{target.machine}")]
    done = subprocess.run([*command, str(own)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError("deb.fetch", f"pip cannot fetch the packages: {done.stderr.strip()}. Check the network.")
    found = sorted(folder.glob("*.whl"))
    for wheel in found:
        if wheel.name != own.name and hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
            raise ConfigError("deb.hash", f"{wheel.name} is not the file of requirements.lock. Fetch it again.")
    return found


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel. Raises ConfigError `deb.wheel` for a wheel with files for other folders, or outside `folder`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            parts = Path(member.filename).parts
            if member.filename.startswith("/") or ".." in parts or parts[0].endswith(".data"):
                raise ConfigError("deb.wheel", f"{wheel.name} has {member.filename}. Teach tools/deb.py about it.")
            archive.extract(member, folder)


def stage(target: Target, found: list[Path], folder: Path) -> None:
    """Lay the files of the package below `folder`, as they are on the machine."""
    for wheel in found:
        unpack(wheel, folder / LIBRARY)
    files = {
        "usr/lib/systemd/system/mooring-edge.service": (SERVICE / "mooring-edge.service").read_text(encoding="utf-8"),
        "usr/bin/mooring-edge": (DEBIAN / "mooring-edge").read_text(encoding="utf-8"),
        CONFIGURATION: (ROOT / "edge_agent" / "default.toml").read_text(encoding="utf-8"),
        "usr/share/doc/mooring-edge/copyright": (ROOT / "LICENSE").read_text(encoding="utf-8"),
        "DEBIAN/conffiles": f"/{CONFIGURATION}\n",
    }
    for kind in ("rules.yml", "dashboard.json"):
        text = (SERVICE / f"mooring-edge.{kind}").read_text(encoding="utf-8")
        files[f"usr/share/doc/mooring-edge/mooring-edge.{kind}"] = text
    for script in ("postinst", "prerm", "postrm"):
        files[f"DEBIAN/{script}"] = (DEBIAN / script).read_text(encoding="utf-8")
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1024 + 1
    major, minor = target.python
    control = (DEBIAN / "control").read_text(encoding="utf-8")
    facts = {"version": target.version, "architecture": target.architecture, "suite": target.suite, "size": size}
    facts |= {"python": f"{major}.{minor}~", "python_end": f"{major}.{minor + 1}~"}
    (folder / "DEBIAN/control").write_text(control.format(**facts), encoding="utf-8")


def settle(folder: Path, when: int) -> None:
    """Give each file below `folder` its mode and the time `when`, so that nothing depends on this machine."""
    programs = {"usr/bin/mooring-edge", "DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm"}
    for place in sorted(folder.rglob("*"), reverse=True):
        is_program = place.is_dir() or place.relative_to(folder).as_posix() in programs
        place.chmod(0o755 if is_program else 0o644)
        os.utime(place, (when, when))
    folder.chmod(0o755)
    os.utime(folder, (when, when))


def pack(folder: Path, path: Path, when: int) -> None:
    """Make the package at `path` from the files below `folder`."""
    settle(folder, when)
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(folder), str(path)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
    subprocess.run(command, env=environment, check=True, capture_output=True)


def commit_time(environment: Mapping[str, str]) -> int:
    """Return the time for all files, in epoch seconds. Raises ConfigError `deb.time` without git and without the
    variable."""
    if environment.get("SOURCE_DATE_EPOCH", "").isdecimal():
        return int(environment["SOURCE_DATE_EPOCH"])
    try:
        done = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise ConfigError("deb.time", "git knows no commit here. Set SOURCE_DATE_EPOCH.") from None
    return int(done.stdout)


def build(target: Target, out: Path, when: int) -> Path:
    """Build one package into the folder `out`, and return its path. Raises ConfigError `deb.*`."""
    with tempfile.TemporaryDirectory(prefix="mooring-deb-") as name:
        work = Path(name)
        (work / "own").mkdir()
        (work / "wheels").mkdir()
        (work / "root").mkdir()
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
        hatchling = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(work / "own")]
        subprocess.run(hatchling, cwd=ROOT, env=environment, check=True, capture_output=True)
        [own] = (work / "own").glob("*.whl")
        stage(target, wheels(target, own, work / "wheels"), work / "root")
        out.mkdir(parents=True, exist_ok=True)
        pack(work / "root", out / target.name, when)
        return out / target.name


def main() -> int:
    """Build all packages, and print their paths and hashes. Return the exit code."""
    try:
        if shutil.which("dpkg-deb") is None:
            raise ConfigError("deb.tool", "there is no dpkg-deb. Install Debian's package dpkg.")
        when = commit_time(os.environ)
        for target in TARGETS:
            path = build(target, ROOT / "dist", when)
            tried = "" if target.architecture == "amd64" else "   only built, never installed"
            print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  dist/{path.name}{tried}", flush=True)
    except ConfigError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
