"""Claims about what the lock keeps, and that no power cut takes it or doubles it."""
