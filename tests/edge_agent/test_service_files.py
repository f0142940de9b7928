"""The unit for systemd, the rules for alarms and the dashboard fit the agent."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent import config, metrics
from edge_agent.inventory import Counts
from edge_agent.metrics import Numbers
from sim.hang import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "edge_agent/service"
UNIT = FOLDER / "mooring-edge.service"


def known() -> set[str]:
    """Return the names of all metrics."""
    held = Counts(
        records=0,
        bytes=0,
        oldest_seconds=None,
        disputed=0,
        quarantined=0,
        statements=0,
        locks=0,
        damaged=0,
        rebuilt=0,
        absent=0,
    )
    text = metrics.text(Numbers(True, [], 0, 0, 0, 0, held, False, 0, 1.0, 1.0, 1.0, 1.0, 1.0, {}, disk_written=0))
    return set(re.findall(r"# TYPE (\S+)", text))


@pytest.mark.parametrize("name", ["mooring-edge.rules.yml", "mooring-edge.dashboard.json"])
def test_rules_and_dashboard_use_only_metrics_that_exist(name: str) -> None:
    used = set(re.findall(r"mooring_edge_\w+", (FOLDER / name).read_text(encoding="utf-8")))
    assert len(used) >= 8 and used - known() == set()


def test_the_page_for_the_night_says_what_each_alarm_means() -> None:
    rules = (FOLDER / "mooring-edge.rules.yml").read_text(encoding="utf-8")
    page = (ROOT / "docs/edge-agent-service.md").read_text(encoding="utf-8")
    alarms = re.findall(r"- alert: (\w+)", rules)
    assert len(alarms) > 5 and re.findall(r"^\| `(Mooring\w+)` \|", page, re.MULTILINE) == alarms


def test_the_dashboard_has_a_panel_for_each_thing_and_no_two_at_one_place() -> None:
    board = json.loads((FOLDER / "mooring-edge.dashboard.json").read_text(encoding="utf-8"))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) > 10
    assert len({panel["id"] for panel in board["panels"]}) == len(places)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_reads_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", FOLDER / "mooring-edge.rules.yml"], check=True, timeout=HANG_SECONDS)


def test_the_unit_names_the_folders_of_the_default_configuration_and_waits_for_ready() -> None:
    unit = UNIT.read_text(encoding="utf-8")
    settings = config.load(None, {"MOORING_EDGE_EXPERIMENT_WITHOUT_KEY": "true"})
    assert f"StateDirectory={settings.state_dir.name}\n" in unit and str(settings.state_dir.parent) == "/var/lib"
    assert f"ConfigurationDirectory={config.DEFAULT_PATH.parent.name}\n" in unit
    assert "\nType=notify\n" in unit and re.search(r"^WatchdogSec=\d+$", unit, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    installed = tmp_path / "mooring-edge.service"
    text = UNIT.read_text(encoding="utf-8")
    # The program need not be installed on this machine.
    installed.write_text(text.replace("/usr/bin/mooring-edge", "/bin/true"), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(installed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)
    assert (done.returncode, "mooring-edge.service" in done.stderr) == (0, False), done.stderr
    installed.write_text(text.replace("Type=notify", "Type=none such").replace("User=", "Usr="), encoding="utf-8")
    wrong = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)
    assert "mooring-edge.service" in wrong.stderr, "it can find something"
