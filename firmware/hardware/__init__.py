"""The parts of the lock: pins, strike, lamp and tone, contacts, keypad, radio, watchdog, console, ticks."""
