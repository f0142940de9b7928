"""What the lock is made of: pins, strike, lamp and tone, contacts, keypad, radio, watchdog, console, ticks."""
