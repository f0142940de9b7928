"""Claims about who gets in, who does not get in, and what a stranger does not learn from a refusal."""
