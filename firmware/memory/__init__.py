"""What the lock keeps: identity, journal and tally in flash, stays, the clock's floor; and what is counted in RAM."""
