"""The interface between the door and the NFC reader chip. Every driver in this folder implements this interface.

A driver turns a chip into a `CardReader`. The driver does everything below APDUs: wake and recovery of the chip,
polling, anticollision, and ISO-DEP with its blocks, waiting time extensions and retransmissions. Some chips do ISO-DEP
themselves (PN7160); their driver only passes APDUs. For other chips, the driver does ISO-DEP (PN532 with
InCommunicateThru, ST25R3916). Code that uses this interface does not know which chip is behind the interface.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Sink(Protocol):
        """Takes the data of a long response, piece by piece."""

        def extend(self, piece: memoryview) -> None:
            """Take the next bytes."""

    class Card(Protocol):
        """One card or phone in the field, activated for ISO-DEP, until it is released or taken away."""

        max_command: int
        """Maximum number of data bytes in a command: 255 for a driver with short APDUs only, more with extended APDUs.
        """

        max_response: int
        """Maximum number of data bytes in a response: 256 for a driver with short APDUs only, more with extended APDUs.
        """

        async def transceive(
            self, command: bytes | memoryview, timeout_ms: int = 1000, sink: Sink | None = None
        ) -> bytes:
            """Send a command APDU and return the response APDU. If there is a `sink`, the data of the response goes
            there as it comes, and only the status word is returned.

            `timeout_ms` limits the wait for the whole response, including waiting time extensions of the card.

            Raises TransportError `nfc.timeout` if the response is not complete in time, `nfc.gone` if the card was
            taken away or has stopped answering, `nfc.too_long` if the response exceeds `max_response`, or `nfc.reader`
            if the chip has failed. After any of these errors, the card cannot be used again. `release` the card, and
            wait for the next card.
            """

        def pass_over(self) -> None:
            """Mark the card as a card that answers but holds nothing that this door can read. Call this before
            `release`.

            Such a card with a fixed UID is not reported again until it has been taken away, so that a sticker or a
            forgotten card does not block the door.
            """

        async def release(self) -> None:
            """Deselect the card and switch off the field. Never raises; a second call does nothing."""

    class CardReader(Protocol):
        """A reader chip."""

        async def wait_for_card(self, on_obstructed: Callable[[bool], bool]) -> Card:
            """Wait until a card is *brought* to the reader, and return the card.

            If a card stays on the reader after its release, it is reported again only after somebody has taken it away.
            So a phone that is left on the reader opens the door only once. Cancelling is safe.

            Raises TransportError `nfc.reader` when the driver cannot recover the chip; a new call tries again. Raises
            TransportError `nfc.collision` when the chip detects several cards, because the driver does not choose one
            of them. This error is raised again only after the field was empty. When only one of the cards is left, that
            card is reported.

            A card that does not speak ISO-DEP is not reported.

            While the driver waits, it calls `on_obstructed` with True when an object has blocked the reader for a long
            time, and with False when the object is gone. If `on_obstructed` returns False, the driver repeats the call
            after the next poll.
            """
