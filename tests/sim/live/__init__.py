"""Tests of the live page: its server, and what a guest, a host and a reviewer see in a real browser."""
