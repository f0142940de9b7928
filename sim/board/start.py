"""Starts the lock. This file is short, because it is compiled on the lock's heap. Other files are compiled before."""

from sim.board.boot import boot

boot()
