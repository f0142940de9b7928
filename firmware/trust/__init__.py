"""Statements that the province signed and the lock trusts: placement, trust list, profile, revocation lists, edge
passes."""
