"""The lock's memory. Flash keeps identity, journal, tally, stays and the clock's floor. RAM keeps visits and recent
entries."""
