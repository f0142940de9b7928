"""Whole-system scenarios: each is a short story with promises, told at a running `sim.site.Site`.

A scenario's name is its claim's handle: `python -m sim run NAME`. Promises are checked, never assumed; `ok` is true
only if every one of them held and nothing went wrong on the way.
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
