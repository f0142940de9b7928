"""The mdoc of ISO/IEC 18013-5, on the reader's side and, for the simulated phone, on the mdoc's side.

This package holds engagement, session, request, and the verification of a response. Transports, clocks, storage, and
anything about doors, stays or the law of a place do not belong here.
"""
