"""Boards as data: one file for each board, with its pins and what it can have. Nothing here may import anything.

`main` is given one of these files. A board that cannot have a keypad says KEYPAD = None; then none is started.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Board(Protocol):
        """What a board's file says. All numbers are GPIO numbers, except NFC_UART."""

        STRIKE: int
        LIGHTS: tuple[int, int, int]
        BUZZER: int
        NFC_UART: int
        NFC_TX: int
        NFC_RX: int
        INPUTS: dict[str, int]
        BUTTON: int

        @property
        def KEYPAD(self) -> tuple[int, int] | None:  # noqa: N802  as the board calls it
            """DATA0 and DATA1, or None."""
