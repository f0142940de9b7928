"""Measurements, run by `make bench`. They print costs; limits are tested elsewhere."""
