"""Starts the lock. This file is compiled on the lock's heap, so it has only one line. The rest is compiled before."""

from sim.board.boot import boot

boot()
