"""A watch tells the page what happens at a site for as long as the page shows this site."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sim.bell import Bell
from sim.live.watch import Watch
from sim.site import Site


@pytest.mark.parametrize(("attended", "told"), [(True, ["network"]), (False, [])])
def test_a_ring_is_answered_only_if_the_site_is_still_shown(attended: bool, told: list[str]) -> None:
    heard: list[str] = []

    async def watched() -> None:
        site: Any = SimpleNamespace(doors=[], edges=[], commits=[], bell=Bell())
        site.broker, site.wiretap = SimpleNamespace(running=True), SimpleNamespace(heard=[])
        watch = Watch(cast(Site, site), lambda kind, _: heard.append(kind))
        watch.attend(True)
        heard.clear()
        site.broker.running = False
        site.bell.ring()  # the answer waits for its turn in the event loop
        if not attended:
            watch.attend(False)
        for _ in range(3):
            await asyncio.sleep(0)
        if attended:
            watch.attend(False)

    asyncio.run(watched())
    assert heard == told
