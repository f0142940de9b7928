"""A Wiegand keypad in 8-bit mode. The keypad sends each key as a burst of eight pulses on two wires."""

from sim.board.bus import BoardBus

_VALUES = {**{str(digit): digit for digit in range(10)}, "*": 10, "#": 11}


class WiegandKeypad:
    """A keypad at the pins `d0` and `d1` of the board on `bus`."""

    def __init__(self, bus: BoardBus, d0: int, d1: int) -> None:
        self._bus = bus
        self._wires = (d0, d1)

    def press(self, key: str) -> None:
        """Send one key. The low four bits are the key's value, and the high four bits are their complement."""
        value = _VALUES[key]
        self.send(f"{(15 - value) << 4 | value:08b}")

    def send(self, bits: str) -> None:
        """Send any burst of bits."""
        for bit in bits:
            for level in (0, 1):
                self._bus.set_input(self._wires[int(bit)], level)
