"""The NFC reader chip, as the door sees it: the interface that every driver in this folder implements.

A driver turns a chip into `CardReader`. Everything below APDUs is its business: wake and recovery of the chip,
polling, anticollision, ISO-DEP with its blocks, waiting time extensions and retransmissions. A chip that does ISO-DEP
itself (PN7160) passes APDUs through; one that does not (PN532 in thru mode, ST25R3916) has it done by the driver.
Nothing above this interface knows which chip there is.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Card(Protocol):
        """One card or phone in the field, activated for ISO-DEP, until it is released or taken away."""

        max_command: int
        """Most data bytes in a command that this driver can send: 255 short, more if it can do extended APDUs."""

        max_response: int
        """Most data bytes in a response that this driver can take: 256 short, more if it can do extended APDUs."""

        async def transceive(self, command: bytes, timeout_ms: int = 1000) -> bytes:
            """Send a command APDU and return the response APDU.

            `timeout_ms` bounds the wait for the whole response, the card's own waiting time extensions included.
            Raises TransportError: `nfc.timeout`, `nfc.gone` (taken away, or not to be reached any more), `nfc.too_long`
            (a response beyond `max_response`), `nfc.reader` (the chip reports a fault). After any of these the card is
            gone for good; `release` it and wait for the next.
            """

        def pass_over(self) -> None:
            """Say before `release` that this card answers, and that this door cannot read it.

            A card with a UID of its own is then not reported again before it has left: a sticker or a forgotten card
            does not close the door.
            """

        async def release(self) -> None:
            """Deselect the card and drop the field. Never raises; a second call does nothing."""

    class CardReader(Protocol):
        """A reader chip."""

        async def wait_for_card(self, on_obstructed: Callable[[bool], bool]) -> Card:
            """The next card that is *brought* to the reader.

            A card left lying after its release is not reported again before it has been taken away: a phone left on
            the reader must not repeat the act. Cancelling is safe. Raises TransportError `nfc.reader` when the chip
            needs more than the driver's own recovery; calling again is the next attempt. Raises `nfc.collision`, where
            the chip can tell, when several cards are in the field: none is picked, and it is said once, not again
            until the field was empty; a card that is left alone there is then reported.

            What does not speak ISO-DEP is no card here.

            `on_obstructed` is called with True when something has been in the way for long, and with False when it is
            gone. If it returns False, it is called again at the next look.
            """
