"""Claims about our own image: its partitions, its settings, what it freezes, and the two files that run first."""
