"""Starts the lock: one line for the interpreter to compile, so that all that stays on the heap is compiled already."""

from sim.board.boot import boot

boot()
