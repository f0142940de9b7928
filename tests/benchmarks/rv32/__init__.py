"""Measures how much work the firmware is for a chip like that of the lock.

MicroPython for RV32 runs the firmware in qemu. This package counts the instructions, and the heap that is needed.

`python -m tests.benchmarks.rv32 ELF` runs the firmware and prints a table. docs/performance.md says how to make ELF.
"""
