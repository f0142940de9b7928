"""What is printed: the card beside the door, and the pictures of the door's signals.

Everything is drawn on a `Sheet` in millimetres, and the sheet is written as SVG or as PDF. Nothing here may know the
province or a lock. Callers pass in what shall be on the paper.
"""
