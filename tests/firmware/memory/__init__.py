"""Claims about what the lock keeps, and that no power cut loses or doubles any of it."""
