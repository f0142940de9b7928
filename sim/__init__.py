"""Everything around lock and edge in software: board, chips, radio, phone and issuer, province, faults, scenarios.

May import every room; no other room may import this one. Fakes here are servers that speak the real protocol.
"""
