"""Claims about strike, signals, sensors, keypad, radio and watchdog of the lock."""
