"""The lock on the class of chip that it is meant for: counts of instructions and of heap, on RV32 MicroPython in qemu.

`python -m tests.benchmarks.rv32 ELF` runs the firmware and prints a table. docs/performance.md says how to make ELF.
"""
