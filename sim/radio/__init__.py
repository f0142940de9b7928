"""The air in software: bumble controllers on one link, the radio of each lock, and a bleak backend for the edge agent.

`air` connects all controllers and makes the faults. `lock_radio` serves the stand-in `bluetooth` of a lock.
`bleak_backend` gives unmodified bleak code a virtual adapter. `edge_on_air` starts the real edge agent with such an
adapter.
"""
