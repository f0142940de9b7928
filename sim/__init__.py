"""Everything around lock and edge agent in software: board, chips, radio, phone, issuer, province, faults, scenarios.

This room may import every other room. Only the tests may import this one. Fakes here are servers that speak the real
protocol.
"""
