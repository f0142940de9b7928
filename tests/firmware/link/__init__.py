"""Claims about the lock's side of the edge link, and about what strangers cost the lock."""
