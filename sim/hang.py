"""How long the simulator waits for something that has to happen."""

HANG_SECONDS = 300.0
"""A guard against waiting for ever. Nothing that works takes so long, even on a very busy machine."""
