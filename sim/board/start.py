"""Starts the lock. The lock compiles this file on its heap, so this file is kept short. Other files are compiled in
advance.
"""

from sim.board.boot import boot

boot()
