"""Claims about what is printed: the card beside the door, and the pictures of the signals."""
