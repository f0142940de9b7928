"""Measures the firmware for the class of chip that the lock is meant for.

This package counts instructions and heap, on MicroPython for RV32 in qemu.

`python -m tests.benchmarks.rv32 ELF` runs the firmware and prints a table. docs/performance.md says how to make ELF.
"""
