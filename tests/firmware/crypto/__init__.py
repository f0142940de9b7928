"""Claims about the lock's cryptography: it agrees with CPython's and with published vectors."""
