"""Where things are connected on the reference board (ESP32-C6-DevKitC-1). Strapping pins 8, 9 and 15 stay free."""

STRIKE = 10
LED_RED = 18
LED_GREEN = 19
LED_BLUE = 20
BUZZER = 21
NFC_UART = 1
NFC_TX = 4
NFC_RX = 5
