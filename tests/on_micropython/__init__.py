"""Programs that tests run on the lock's interpreter, or on both, and what these programs share."""
