"""Whole-system scenarios: each is a short story with promises, told on a running `sim.world.World`.

A scenario's name is its claim's handle: `python -m sim run NAME`. Promises are checked, never assumed; `ok` is true
only if every one of them held and nothing went wrong on the way.
"""

from sim.scenarios import arrivals, clocks, events, failures, house_rules, power, radios, refusals, returning, trust
from sim.scenarios.story import Result, Story, perform, stories

__all__ = [
    "Result",
    "Story",
    "arrivals",
    "clocks",
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
