"""The PN532's own ISO-DEP, for InDataExchange. The host cannot control this ISO-DEP. The frames have up to 64 bytes."""

from sim.nfc.antenna import Antenna

FSD = 64
RATS = b"\xe0\x50"
_RETRIES = 3


class ProtocolError(Exception):
    """The card does not answer, or breaks the protocol."""


class OwnIsoDep:
    """Exchanges blocks with one card that the chip activated. Each answer may take `fwt` seconds."""

    def __init__(self, antenna: Antenna, fsc: int, fwt: float) -> None:
        self._antenna = antenna
        self._size = min(fsc, FSD) - 3
        self._fwt = fwt
        self._number = 0

    async def exchange(self, command: bytes) -> bytes:
        """Send `command` and return the response. Raises ProtocolError if the card fails."""
        pieces = [command[at : at + self._size] for at in range(0, len(command), self._size)] or [b""]
        for piece in pieces[:-1]:
            answer = await self._ask(bytes((0x12 | self._number,)) + piece)
            if answer != bytes((0xA2 | self._number,)):
                raise ProtocolError
            self._number ^= 1
        answer = await self._ask(bytes((0x02 | self._number,)) + pieces[-1])
        response = b""
        while True:
            if answer[0] & 0xEF != 0x02 | self._number:
                raise ProtocolError
            self._number ^= 1
            response += answer[1:]
            if not answer[0] & 0x10:
                return response
            answer = await self._ask(bytes((0xA2 | self._number,)))

    async def _ask(self, block: bytes) -> bytes:
        """Send `block` and return the card's block. Grant each request for more time, and ask again for each damaged
        block.
        """
        outgoing, patience = block, self._fwt
        again = block if block[0] & 0xF0 == 0xA0 else bytes((0xB2 | self._number,))
        failures = 0
        while failures <= _RETRIES:
            try:
                answer = await self._antenna.exchange(outgoing, patience, 106)
            except TimeoutError:
                answer = None
            patience = self._fwt
            if not answer:
                failures += 1
                outgoing = again
            elif answer[0] == 0xF2:
                patience = self._fwt * (answer[1] & 0x3F)
                outgoing = answer
            elif answer[0] & 0xFE == 0xA2 and answer[0] & 1 != self._number:
                failures += 1
                outgoing = block
            else:
                return answer
        raise ProtocolError
