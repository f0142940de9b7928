"""Claims about the reader chip's driver, the contactless protocol, and what a phone is offered."""
