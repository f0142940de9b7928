"""A real Prometheus reads /metrics, the rules for alarms and what the dashboard asks. `make prometheus` runs this.

The agent's numbers are made here, so that every alarm that depends on a present number has a reason, or none has.
"""

import asyncio
import contextlib
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent import metrics
from edge_agent.inventory import Counts
from edge_agent.metrics import LockNumbers, Numbers
from edge_agent.monitor import HOST, Monitor
from sim.hang import HANG_SECONDS
from sim.ports import ReservedPort

PROGRAM = os.environ.get("MOORING_PROMETHEUS")
FOLDER = Path(__file__).resolve().parents[2] / "edge_agent/service"
RULES, BOARD = FOLDER / "mooring-edge.rules.yml", FOLDER / "mooring-edge.dashboard.json"
RISING = {"MooringEdgeDamagedDisk", "MooringEdgeFaults"}
"""Alarms about a number that rises. A number that was never lower gives no alarm."""
CONFIGURATION = """
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: mooring-edge
    static_configs: [{{targets: ["{host}:{agent}"]}}]
"""

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="only `make prometheus` gets a Prometheus")


def numbers(*, good: bool) -> Numbers:
    now, day = time.time(), 86400
    held = Counts(
        records=1, bytes=700, oldest_seconds=1.0 if good else 7 * 3600.0, disputed=0 if good else 1, quarantined=0,
        statements=0, locks=1, damaged=0, rebuilt=0, absent=0,
    )  # fmt: skip
    return Numbers(
        broker=good, locks=[LockNumbers("0a0b0c0d0e0f", "0.3.0", -61)], own=1, silent=0 if good else 1, strangers=0,
        under_way=0, contents=held, intake_refused=not good, disk_free=10**9, last_receipt=now,
        clock_offset=0.0 if good else 90.0, certificate_end=now + (200 if good else 3) * day, pass_issued=now - day,
        pass_end=now + (6 if good else 1) * day, faults={"KeyError": 0}, disk_written=4096,
    )  # fmt: skip


class Prometheus:
    """A running Prometheus, asked over its API."""

    def __init__(self, port: int) -> None:
        self._page = f"http://{HOST}:{port}/api/v1/"

    async def ask(self, path: str, **query: str) -> Any:
        """Return the data of an answer; None while Prometheus does not answer."""
        address = f"{self._page}{path}?{urllib.parse.urlencode(query)}"

        def fetch() -> Any:
            try:
                with urllib.request.urlopen(address, timeout=HANG_SECONDS) as answer:
                    return json.load(answer)["data"]
            except (urllib.error.URLError, ConnectionError):
                return None

        return await asyncio.to_thread(fetch)

    async def until_it_has_read(self) -> None:
        """Wait until the agent was read and all rules were looked at after that."""
        while True:
            found = await self.ask("query", query="count_over_time(mooring_edge_info[1m]) > 3")
            told = await self.ask("rules")
            rules = told["groups"][0]["rules"] if told and told["groups"] else [{"health": "unknown"}]
            if found and found["result"] and all(rule["health"] == "ok" for rule in rules):
                return
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def running(folder: Path, *, good: bool) -> AsyncIterator[Prometheus]:
    async def text() -> str:
        return metrics.text(numbers(good=good))

    assert PROGRAM is not None
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    served = asyncio.ensure_future(Monitor(text, list, list).run(0, listening.set_result))
    settings = folder / "prometheus.yml"
    settings.write_text(CONFIGURATION.format(rules=RULES, host=HOST, agent=await listening), encoding="utf-8")
    reserved = ReservedPort()
    command = [PROGRAM, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"]
    process = await asyncio.create_subprocess_exec(*command, f"--web.listen-address={HOST}:{reserved.port}")
    try:
        yield Prometheus(reserved.port)
    finally:
        process.terminate()
        await process.wait()
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)
        reserved.close()


def alarms() -> set[str]:
    return set(re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8")))


@pytest.mark.parametrize("good", [True, False])
def test_each_alarm_comes_if_its_number_is_bad_and_none_comes_if_all_is_good(tmp_path: Path, good: bool) -> None:
    async def story() -> None:
        async with running(tmp_path, good=good) as prometheus:
            await prometheus.until_it_has_read()
            told = (await prometheus.ask("rules"))["groups"][0]["rules"]
        assert {rule["name"] for rule in told} == alarms()
        active = {rule["name"] for rule in told if rule["state"] in ("pending", "firing")}
        assert active == (set() if good else alarms() - RISING - {"MooringEdgeGone"})

    asyncio.run(asyncio.wait_for(story(), HANG_SECONDS))


def test_each_panel_of_the_dashboard_has_something_to_show(tmp_path: Path) -> None:
    panels = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]

    async def story() -> None:
        async with running(tmp_path, good=True) as prometheus:
            await prometheus.until_it_has_read()
            for panel in panels:
                for target in panel["targets"]:
                    answer = await prometheus.ask("query", query=target["expr"].replace("$edge", ".*"))
                    assert answer is not None and answer["result"], panel["title"]

    asyncio.run(asyncio.wait_for(story(), HANG_SECONDS))
