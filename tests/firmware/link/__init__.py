"""Claims about the lock's side of the edge link, and what strangers there cost it."""
