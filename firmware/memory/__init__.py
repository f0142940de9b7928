"""The lock's memory. In flash: identity, journal, tally, stays and the clock's floor. In RAM: visits and recent
entries."""
