"""Claims about who gets in and who does not, and that a refusal does not tell a stranger why."""
