"""A PN532 and the cards in its field, in software.

The host sees real frames of the chip, and the cards see blocks of ISO/IEC 14443.

This room is written from the documents alone and shares no code with the driver. So a mistake in this room or in the
driver shows as soon as the two talk to each other.
"""
