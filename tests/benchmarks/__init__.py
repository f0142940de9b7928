"""Measurements, run by `make bench`: they print what something costs here. What must hold is tested elsewhere."""
