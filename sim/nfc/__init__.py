"""A PN532 and the cards at it, in software: real chip frames on one side, ISO/IEC 14443 blocks on the other.

It is written from the documents alone and shares no code with the driver. So a mistake in either of them shows as soon
as they talk to each other.
"""
