"""Where things are connected on the ESP32-C6-DevKitC-1. Strapping pins 4, 5, 8, 9 and 15 stay free."""

STRIKE = 10
LED_RED = 18
LED_GREEN = 19
LED_BLUE = 20
BUZZER = 21
NFC_UART = 1
NFC_TX = 6
NFC_RX = 7
KEYPAD_D0 = 22
KEYPAD_D1 = 23
CONTACT = 0
"""Inputs, with the chip's pull-up; each a loop closed to ground at rest. Which are wired is in the fittings."""
HANDLE = 1
KEY = 2
TAMPER = 3
BUTTON = 11
"""Inside, with the chip's pull-up: grounded while somebody holds it. Whether it is wired is in the fittings."""
