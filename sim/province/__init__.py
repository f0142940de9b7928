"""The province: it commits records, and signs receipts, time, placements, trust lists and the profile.

It is a stand-in, but its promises are real: one SQLite transaction for each batch, then the acknowledgement, then the
receipt. Here are its keys, its store, its registry (the rules), its consumer (MQTT), and a command that shows its data.
No code here runs on a lock or an edge agent, and neither may import it.
"""

from sim.environment import incomplete

if incomplete("-m sim.province"):  # whoever runs another command has been told of that one
    raise SystemExit(2)

from sim.province.keys import Keys
from sim.province.province import Province
from sim.province.store import Registration, Store

__all__ = ["Keys", "Province", "Registration", "Store"]
