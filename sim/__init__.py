"""Software for everything around the lock and the edge agent: board, chips, radio, phone, issuer, province, faults,
scenarios.

`sim` may import all other rooms. Only `tests` may import `sim`. The fakes in `sim` are servers that speak the real
protocol.
"""
