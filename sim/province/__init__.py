"""The province: it commits records, and signs receipts, time, placements, trust lists and the profile.

This province is a stand-in, but it keeps its promises like a real province. The province commits each batch in one
SQLite transaction, then acknowledges the batch, and then sends the receipt. This room has the keys, the store, the
registry (the rules), the consumer (MQTT), and a command that shows the data. Locks and edge agents do not run this code
and must not import it.
"""

from sim.environment import incomplete

if incomplete("-m sim.province"):  # all other commands have already made this check
    raise SystemExit(2)

from sim.province.keys import Keys
from sim.province.province import Province
from sim.province.store import Registration, Store

__all__ = ["Keys", "Province", "Registration", "Store"]
