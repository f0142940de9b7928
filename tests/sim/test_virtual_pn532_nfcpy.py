"""nfcpy reads a phone through the virtual chip over a serial port. nfcpy is written for real chips."""

import asyncio
import logging
from typing import Any

import nfc
import pytest
from nfc.clf import RemoteTarget, pn532, transport

from sim.hang import HANG_SECONDS
from sim.nfc.virtual_pn532 import VirtualPn532
from tests.support import tap


class PatientTty(transport.TTY):  # type: ignore[misc]
    """A serial port on which nfcpy waits until the chip answers. Its own limit of 100 ms for an acknowledgement is one
    for real chips, and a busy machine may take longer.
    """

    def read(self, timeout: float) -> bytearray | None:
        """Return a frame of the chip. `timeout` is nfcpy's limit in milliseconds."""
        frame: bytearray | None = super().read(max(timeout, HANG_SECONDS * 1000))
        return frame


def read_tag(port: str) -> dict[str, Any]:
    """Return the facts that nfcpy reads from a tag on `port`."""
    clf = nfc.ContactlessFrontend()
    clf.device = pn532.init(PatientTty(port))
    try:
        while (target := clf.sense(RemoteTarget("106A"), iterations=5, interval=0.02)) is None:
            pass
        tag = nfc.tag.activate(clf, target)
        assert tag.ndef is not None
        return {
            "chip": str(clf.device.chipset_name),
            "baudrate": clf.device.chipset.transport.baudrate,
            "type": tag.type,
            "identifier": bytes(tag.identifier),
            "ndef": bytes(tag.ndef.octets),
            "present": tag.is_present,
        }
    finally:
        clf.close()


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_nfcpy_activates_a_phone_as_a_type_4_tag_and_reads_its_handover(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def scene() -> dict[str, Any]:
        board = VirtualPn532(looks_between=0)
        port = board.open_terminal()
        guest = asyncio.create_task(tap.phone().tap(board))
        try:
            return await asyncio.to_thread(read_tag, port)
        finally:
            await guest
            await board.stop()

    found = tap.run(scene())
    assert (found["chip"], found["type"], found["identifier"]) == ("PN532v1.6", "Type4Tag", b"\x08\x00\x00\x01")
    assert found["baudrate"] > 115200 and found["present"]
    assert b"iso.org:18013:deviceengagement" in found["ndef"] and b"iso.org:18013:nfc" in found["ndef"]
