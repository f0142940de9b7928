"""Limit on the simulator's wait for an event that must happen."""

HANG_SECONDS = 300.0
"""Longest wait in seconds, so that nothing waits for ever. Without a defect, no wait takes so long, even on a very busy
machine."""
