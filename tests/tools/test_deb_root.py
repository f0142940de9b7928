"""Clean roots of Debian in which the packages are installed, used as docs/edge-agent-service.md says, and purged.

Needs root, the network and some minutes: `make deb-root`. There is no systemd in such a root, so the unit's command is
started as the unit's user. There is no Bluetooth either, so the record that goes up was put into the outbox by 0.2.0.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.broker import Broker
from sim.hang import HANG_SECONDS
from sim.province import Province
from tests.support.sources import ROOT
from tools import deb

pytestmark = pytest.mark.skipif("MOORING_DEB" not in os.environ, reason="long, and needs root: make deb-root")

STATE = "var/lib/mooring-edge"
SETTINGS = "etc/mooring-edge/mooring-edge.toml"


class Root:
    """A clean root in `folder`."""

    def __init__(self, folder: Path, target: deb.Target) -> None:
        self.folder, self.target = folder, target
        command = ["mmdebstrap", "--variant=minbase", "--include=python3,adduser,bluez,dbus,sudo,ca-certificates"]
        subprocess.run([*command, target.suite, str(folder)], check=True)

    def run(self, text: str, code: int = 0) -> str:
        """Run a line of shell inside, and check its exit code. Return what it printed."""
        done = subprocess.run(
            ["chroot", str(self.folder), "sh", "-c", text], check=False, capture_output=True, text=True
        )
        assert done.returncode == code, (text, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def install(self, package: Path) -> str:
        """Install the package where there is no network at all, so that nothing can be fetched."""
        shutil.copy(package, self.folder / "tmp")
        inside = f"DEBIAN_FRONTEND=noninteractive dpkg --install /tmp/{package.name}"
        command = ["unshare", "--net", "chroot", str(self.folder), "sh", "-c", inside]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, settings: dict[str, str]) -> None:
        """Set keys of the settings, as a person would with an editor."""
        place = self.folder / SETTINGS
        text = place.read_text(encoding="utf-8")
        for key, value in settings.items():
            lines = [line for line in text.splitlines() if line.startswith(f"{key} = ")]
            assert len(lines) == 1, key
            text = text.replace(lines[0], f"{key} = {value}")
        place.write_text(text, encoding="utf-8")

    @contextlib.contextmanager
    def running(self) -> Iterator[Path]:
        """Run the unit's command as the unit's user. Yield the log. At the end, stop it as systemd does."""
        unit = (self.folder / "usr/lib/systemd/system/mooring-edge.service").read_text(encoding="utf-8")
        [program] = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
        log = self.folder / "tmp/log"
        with log.open("wb") as output:
            command = ["chroot", "--userspec=mooring-edge:mooring-edge", str(self.folder), *program.split()]
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield log
            process.terminate()
            assert process.wait(HANG_SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def told(log: Path, *events: str) -> None:
    """Wait until the log has these events."""
    deadline = time.monotonic() + HANG_SECONDS
    while not all(f" {event} " in log.read_text() for event in events):
        assert time.monotonic() < deadline, (events, log.read_text())
        time.sleep(0.1)


@pytest.mark.parametrize(
    "target", [one for one in deb.TARGETS if one.architecture == "amd64"], ids=lambda one: one.suite
)
def test_the_package_is_installed_used_upgraded_restored_and_purged(tmp_path: Path, target: deb.Target) -> None:
    root = Root(tmp_path / "root", target)
    when = deb.commit_time(os.environ)
    package = deb.build(target, tmp_path / "one", when)
    assert deb.build(target, tmp_path / "two", when).read_bytes() == package.read_bytes(), "the same bytes again"

    assert "mooring-edge.toml" in root.install(package), "it says what to do next"
    assert root.run("mooring-edge --version").strip() == f"mooring-edge {target.version.partition('+')[0]}"
    assert root.run("stat -c '%a %U' /var/lib/mooring-edge").split() == ["700", "mooring-edge"]
    assert root.run("readlink /etc/systemd/system/multi-user.target.wants/mooring-edge.service")
    assert root.run("dpkg --verify mooring-edge") == ""
    assert "config.value" in root.run("sudo -u mooring-edge mooring-edge check-config", code=2), "no settings yet"

    with Broker() as broker:
        province = Province(tmp_path / "province", "127.0.0.1", broker.port)
        province.admit_edge("pi-1", [bytes(16)])
        province.start()
        try:
            named = {"name": '"pi-1"', "province_public_key": f'"{province.public.hex()}"'}
            root.write(named | {"hosts": f'["127.0.0.1:{broker.port}"]'})
            key = root.run("sudo -u mooring-edge mooring-edge enroll")
            assert province.public.hex() not in key and "     key   04" in key
            with contextlib.closing(sqlite3.connect(root.folder / STATE / "outbox.sqlite3")) as connection:
                connection.executescript((ROOT / "tests/data/outbox_0_2_0.sql").read_text(encoding="utf-8"))
            root.run("chown mooring-edge: /var/lib/mooring-edge/outbox.sqlite3")
            root.run("sudo -u mooring-edge mooring-edge check-config", code=1)  # its outbox is older: start once
            with root.running() as log:
                told(log, "broker.connected", "pass.accepted", "batch.sent")
                assert province.wait_for(lambda store: store.tally().get("records of unknown locks", 0) >= 3)
                assert "until" in root.run("sudo -u mooring-edge mooring-edge status")
                assert "no adapter" in root.run("sudo -u mooring-edge mooring-edge doctor", code=1)
                assert "3 records" in root.run("sudo -u mooring-edge mooring-edge queue")
            root.run("sudo -u mooring-edge mooring-edge check-config")

            page = (ROOT / "docs/edge-agent-service.md").read_text(encoding="utf-8")
            [save] = [line.strip() for line in page.splitlines() if line.startswith("    sudo tar -C / -czpf")]
            [restore] = [line.strip() for line in page.splitlines() if line.startswith("    sudo tar -C / -xzpf")]
            root.run(f"cd /tmp && {save}")
            root.install(package)
            assert "pi-1" in (root.folder / SETTINGS).read_text(), "an upgrade keeps the settings"
            assert key.splitlines()[2] in root.run("sudo -u mooring-edge mooring-edge enroll")

            root.run("dpkg --remove mooring-edge")
            assert (root.folder / STATE / "link.key").exists(), "remove keeps what a person may still want"
            root.run("dpkg --purge mooring-edge")
            assert not (root.folder / STATE).exists() and not (root.folder / "etc/mooring-edge").exists()
            root.run("getent passwd mooring-edge", code=2)
            left = root.run("find /etc /usr /var/lib -name '*mooring-edge*' -not -path '/var/lib/dpkg/*'")
            assert left == "", "purge leaves nothing"

            root.install(package)
            root.run(f"cd /tmp && {restore} && sudo chown -R mooring-edge:mooring-edge /var/lib/mooring-edge")
            assert key.splitlines()[2] in root.run("sudo -u mooring-edge mooring-edge enroll"), "the key is back"
            with root.running() as log:
                told(log, "broker.connected")
        finally:
            province.stop()
