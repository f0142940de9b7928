"""Claims about the data that the lock keeps. No power cut loses or doubles any of this data."""
