"""The guest's phone: an mdoc holder of its own make, over `cryptography` and `cbor2`.

It shares no parsing, session or signing code with `protocol` or `firmware`, so that a mistake there meets a peer that
does not make it too. What may not live here: anything the door relies on.
"""
