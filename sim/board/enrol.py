"""What an installer's laptop does to a new lock, on the lock's interpreter: make keys, pin the province, ask to enrol.

`argv[1]` is the province's public key in hex, `argv[2]` what is wired to the lock (JSON, `protocol/fittings.cddl`).
Prints one line, `request <hex>`, or `refused <code>`.
"""

import sys

from firmware import crypto, identity
from firmware.store import Store
from protocol import fittings
from protocol.errors import MooringError
from sim.board.boot import mount

try:
    store = Store(mount())
    store.write(fittings.FILE, fittings.Fittings.parse(sys.argv[2].encode()).encode())
    print("request", identity.enrol(crypto, store, bytes.fromhex(sys.argv[1])).hex())
except MooringError as error:
    print("refused", error.code)
