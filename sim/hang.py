"""How long the simulator waits for what has to come."""

HANG_SECONDS = 300.0
"""A guard against waiting for ever, and no verdict: nothing that goes well takes so long, on however busy a machine."""
