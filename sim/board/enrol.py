"""What an installer's laptop does to a new lock, on the lock's interpreter: make keys, pin the province, ask to enrol.

`argv[1]` is the province's public key in hex. Prints one line, `request <hex>`, or `refused <code>`.
"""

import sys

from firmware import crypto, identity
from firmware.store import Store
from protocol.errors import MooringError
from sim.board.boot import mount

try:
    print("request", identity.enrol(crypto, Store(mount()), bytes.fromhex(sys.argv[1])).hex())
except MooringError as error:
    print("refused", error.code)
