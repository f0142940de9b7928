"""What an installer's laptop does to a new lock, on the lock's interpreter: make keys, pin the province, ask to enrol.

`argv[1]` is the province's public key in hex, `argv[2]` what is wired to the lock (JSON, `protocol/fittings.cddl`),
`argv[3]` 32 random bytes of the laptop's in hex. The radio goes on first: without it the chip's generator is no true
one (ESP-IDF, Random Number Generation).
Prints one line, `request <hex>`, or `refused <code>`.
"""

import sys

from firmware import crypto
from firmware.memory import identity
from firmware.memory.store import Store
from protocol import fittings
from protocol.errors import MooringError
from sim.board.boot import mount

if sys.implementation.name == "micropython":
    import bluetooth

    bluetooth.BLE().active(True)
try:
    store = Store(mount())
    store.write(fittings.FILE, fittings.Fittings.parse(sys.argv[2].encode()).encode())
    request = identity.enrol(crypto, store, bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[3]))
    print("request", request.hex())
except MooringError as error:
    print("refused", error.code)
