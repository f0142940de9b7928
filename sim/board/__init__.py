"""The board in software: how to run the firmware on the real MicroPython interpreter, its flash, pins and UART.

`modules/` has the stand-ins for hardware modules: `machine`, `bluetooth` and `esp32`. Only a lock has this folder on
its module path. Code of the simulator itself never imports from it.
"""
