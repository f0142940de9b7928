"""The board in software: how to run the firmware on the real MicroPython interpreter, its flash, pins and UART.

`modules/` holds stand-ins for hardware modules only (`machine`, `bluetooth`, `esp32`); it is on the lock's module path
and never imported by CPython code.
"""
