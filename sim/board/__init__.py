"""The board in software. This room runs the firmware on the real MicroPython interpreter, and simulates flash, pins and
UART.

`modules/` has the stand-ins for hardware modules: `machine`, `bluetooth` and `esp32`. Only a lock has this folder on
its module path. The simulator's own code never imports from this folder.
"""
