"""Claims about what the province signed: accepted, kept, replaced, and refused when it is not that."""
