"""The guest's phone: an independent mdoc holder, over `cryptography` and `cbor2`.

The phone shares no parsing, session or signing code with `protocol` or `firmware`. So a mistake in that code shows,
because this phone does not make the same mistake. The door must not rely on any code of this room.
"""
