"""Scenarios of the whole system. Each scenario is a short story with promises, played at a running `sim.site.Site`.

`python -m sim run NAME` plays one scenario. Every promise is checked. The result's `ok` is true only if all promises
held and no error occurred.
"""

from sim.scenarios import (
    arrivals,
    clocks,
    doors,
    events,
    failures,
    house_rules,
    power,
    radios,
    refusals,
    returning,
    trust,
)
from sim.scenarios.story import Result, Story, perform, stories

__all__ = [
    "Result",
    "Story",
    "arrivals",
    "clocks",
    "doors",
    "events",
    "failures",
    "house_rules",
    "perform",
    "power",
    "radios",
    "refusals",
    "returning",
    "stories",
    "trust",
]
