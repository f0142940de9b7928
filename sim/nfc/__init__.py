"""A PN532 and the cards before it, in software: real chip frames on one side, ISO/IEC 14443 blocks on the other.

Written from the documents alone and sharing no code with the driver, so that each keeps the other honest.
"""
