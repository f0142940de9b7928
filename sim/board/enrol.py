"""Enrols a new lock on its own interpreter, as an installer does: make keys, pin the province, ask to enrol.

`argv[1]` is the province's public key in hex. `argv[2]` is the JSON of the lock's fittings (`protocol/fittings.cddl`).
`argv[3]` is 32 random bytes from the laptop in hex. The radio is switched on first, because the chip's generator gives
truly random numbers only then (ESP-IDF, Random Number Generation). Prints one line, `request <hex>` or
`refused <code>`.
"""

import sys

from firmware import crypto
from firmware.memory import identity
from firmware.memory.store import Store
from protocol import fittings
from protocol.errors import MooringError
from sim.board.boot import mount


def enrol(province: str, fitted: str, chance: str) -> None:
    """Make the keys, and print the lock's answer."""
    if sys.implementation.name == "micropython":
        import bluetooth

        bluetooth.BLE().active(True)
    try:
        store = Store(mount())
        store.write(fittings.FILE, fittings.Fittings.parse(fitted.encode()).encode())
        request = identity.enrol(crypto, store, bytes.fromhex(province), bytes.fromhex(chance))
        print("request", request.hex())
    except MooringError as error:
        print("refused", error.code)


if __name__ == "__main__":
    enrol(*sys.argv[1:4])
