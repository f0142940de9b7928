"""The lock: door logic, radios, journal, clock and on-device cryptography, in MicroPython.

What may not live here: byte formats (they are in `protocol`), imports of any room but `protocol`, personal data at
rest. The modules also import under CPython, where property tests exercise them.
"""
