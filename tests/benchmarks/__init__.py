"""Measurements, run by `make bench`. They print costs. Other tests check limits."""
