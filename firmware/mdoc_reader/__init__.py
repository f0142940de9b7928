"""Reads a mobile document over NFC or BLE. This package chooses the requests, keeps the session and decrypts the
answer."""
