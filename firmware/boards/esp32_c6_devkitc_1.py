"""The ESP32-C6-DevKitC-1. The board's strapping pins 4, 5, 8, 9 and 15 stay free."""

STRIKE = 10
LIGHTS = 18, 19, 20
"""Pins of the red, the green and the blue light."""
BUZZER = 21
NFC_UART = 1
NFC_TX = 6
NFC_RX = 7
KEYPAD = 22, 23
"""Pins DATA0 and DATA1, with the chip's pull-ups. A board that cannot have a keypad has None here."""
INPUTS = {"contact": 0, "handle": 1, "key": 2, "tamper": 3}
"""Pins of the inputs, by the names in `fittings.INPUTS`, with the chip's pull-ups. Each input is a loop that is closed
to ground at rest. The fittings say which inputs are wired."""
BUTTON = 11
"""Pin of the button inside the room, with the chip's pull-up. The pin is grounded while somebody holds the button. The
fittings say whether the button is wired."""
