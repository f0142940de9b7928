"""The NFC reader chip, as the door sees it: the interface that every driver in this folder implements.

A driver turns a chip into a `CardReader`. It does everything below APDUs: wake and recovery of the chip, polling,
anticollision, and ISO-DEP with its blocks, waiting time extensions and retransmissions. Some chips do ISO-DEP
themselves (PN7160), and the driver only passes APDUs. For others the driver does it (PN532 with InCommunicateThru,
ST25R3916). Nothing above this interface knows which chip there is.
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

            `timeout_ms` limits the wait for the whole response, including waiting time extensions of the card.
            Raises TransportError: `nfc.timeout`, `nfc.gone` (taken away, or it stopped answering), `nfc.too_long` (the
            response exceeds `max_response`), `nfc.reader` (the chip has failed). After any of these the card cannot be
            used again: `release` it and wait for the next.
            """

        def pass_over(self) -> None:
            """Call this before `release` if the card answers, but holds nothing that this door can read.

            If the card has a fixed UID, it is then not reported again before it has left, so that a sticker or a
            forgotten card does not block the door.
            """

        async def release(self) -> None:
            """Deselect the card and drop the field. Never raises; a second call does nothing."""

    class CardReader(Protocol):
        """A reader chip."""

        async def wait_for_card(self, on_obstructed: Callable[[bool], bool]) -> Card:
            """Wait for the next card that is *brought* to the reader, and return it.

            A card that stays on the reader after its release is reported again only after it was taken away, so a phone
            that is left there opens the door once. Cancelling is safe.

            Raises TransportError `nfc.reader` when the driver cannot recover the chip; a new call tries again. Raises
            TransportError `nfc.collision` when there are several cards and the chip can tell: none of them is picked.
            It is raised once, and again only after the field was empty. If all but one card leave, that one is
            reported.

            A card that does not speak ISO-DEP is not reported.

            Meanwhile the driver calls `on_obstructed` with True when something has blocked the reader for long, and
            with False when it is gone. If `on_obstructed` returns False, the driver repeats the call after the next
            poll.
            """
