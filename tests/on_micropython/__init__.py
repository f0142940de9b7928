"""Programs that tests run on the lock's interpreter or on both interpreters, and modules shared by these programs."""
