"""Reads a mobile document over NFC or BLE: the choice of requests, the session, and the decrypted answer."""
