"""Judges a province or a booking platform that somebody else has written, by the clauses of docs/integration.md.

The judge of a province plays an edge agent with locks of its own. The judge of a platform asks for grants, and reads
them as a lock does. No edge agent and no lock may import this room, and it may import all others.
"""

from sim.environment import incomplete

if incomplete("-m sim.conformance"):  # all other commands have already made this check
    raise SystemExit(2)
