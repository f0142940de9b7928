"""The ESP32-C6-DevKitC-1. Its strapping pins 4, 5, 8, 9 and 15 stay free."""

STRIKE = 10
LIGHTS = 18, 19, 20
"""Red, green and blue."""
BUZZER = 21
NFC_UART = 1
NFC_TX = 6
NFC_RX = 7
KEYPAD = 22, 23
"""DATA0 and DATA1, with the chip's pull-ups. None on a board that cannot have a keypad."""
INPUTS = {"contact": 0, "handle": 1, "key": 2, "tamper": 3}
"""By the names of `fittings.INPUTS`, with the chip's pull-ups. Each is a loop closed to ground at rest. The fittings
say which of them are wired."""
BUTTON = 11
"""Inside, with the chip's pull-up: grounded while somebody holds it. The fittings say whether it is wired."""
