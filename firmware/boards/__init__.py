"""Boards as data: one file for each board, with its pins and its optional parts. These files must not import anything.

`main` gets one of these files. If a board cannot have a keypad, its file says KEYPAD = None, and no keypad is started.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Board(Protocol):
        """The content of a board's file. All numbers are GPIO numbers, except NFC_UART."""

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
            """The pins DATA0 and DATA1, or None if the board cannot have a keypad."""
