"""The mdoc of ISO/IEC 18013-5, from the reader's side and, for the simulated phone, from the mdoc's.

What lives here: engagement, session, request, and the verification of a response. What may not: transports, clocks,
storage, and anything about doors, stays or the law of a place.
"""
