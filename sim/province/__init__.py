"""The province: commits records, signs receipts, time, placements, trust lists and the profile. A stand-in that keeps
its promises for real: one SQLite transaction a batch, then the acknowledgement, then the receipt.

Here: its keys, its store, its registry (the rules), its consumer (MQTT) and a command that shows what it holds. Not
here: anything that runs on a lock or an edge agent, or that either could import.
"""

from sim.environment import incomplete

if incomplete("-m sim.province"):  # whoever runs another command has been told of that one
    raise SystemExit(2)

from sim.province.keys import Keys
from sim.province.province import Province
from sim.province.store import Registration, Store

__all__ = ["Keys", "Province", "Registration", "Store"]
