"""Claims about how the lock accepts, keeps, replaces and refuses statements that the province signed."""
