"""Claims about who gets in and who does not, and that a refusal tells nobody why."""
