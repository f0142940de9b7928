"""The virtual PN532 as a separate program. It listens on a socket. Its arguments choose its faults."""

import asyncio
import subprocess
import sys

import pytest

from firmware.nfc.pn532 import Pn532Reader
from protocol.errors import TransportError
from sim.board.interpreter import ROOT
from sim.nfc import __main__ as program
from tests.support import pn532_scene as scene
from tests.support import tap

ACK = "0000ff00ff00"
WAKE = bytes.fromhex("5555") + bytes(14)


def test_as_a_program_of_its_own_it_is_found_on_a_socket_and_tells_of_each_tap() -> None:
    async def story() -> None:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sim.nfc", "--tcp", "0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert started.stdout is not None
        try:
            host, port = (await started.stdout.readline()).decode().strip().split(":")
            line, writer = await asyncio.open_connection(host, int(port))
            # This test uses no driver. A driver would give up if the program were slow on a busy machine.
            writer.write(bytes.fromhex(ACK) + WAKE)

            async def command(content: str) -> str:
                data = bytes.fromhex("d4" + content)
                writer.write(b"\0\0\xff" + bytes((len(data), -len(data) & 0xFF)) + data + bytes((-sum(data) & 0xFF, 0)))
                assert await line.readexactly(6) == bytes.fromhex(ACK)
                length = (await line.readexactly(5))[3]
                return (await line.readexactly(length + 2))[1:length].hex()

            assert await command("02") == "0332010607"
            assert await command("14010000") == "15"
            assert await command("3205010001") == "33", "a look has an end"
            found = "4b00"
            while found == "4b00":  # people need time to swap phones, so the first answers name no phone
                found = await command("4a0100")
            assert found.startswith("4b01010004")
            writer.close()  # when the host is gone, the phone is taken away
            assert await started.stdout.readline() == b"unfinished: 0 APDUs\n"
        finally:
            started.kill()
            await started.wait()

    tap.run(story())


def test_the_faults_it_is_told_of_on_its_command_line_happen() -> None:
    async def story() -> None:
        virtual = program.board(
            program.parser().parse_args(["--tear-off-at", "2", "--stuck", "--seed", "7", "--line-damaged", "0.02"])
        )
        told: list[str] = []
        reader = Pn532Reader(scene.wire(virtual))
        phones = asyncio.create_task(program.taps(virtual, told.append))
        for _ in range(2):  # each phone is taken away at the second command (block 2); block 0 is RATS
            card = await reader.wait_for_card()
            assert await card.transceive(bytes.fromhex("00a4040007d276000085010100")) == b"\x90\x00"
            with pytest.raises(TransportError, match=r"nfc\.gone"):
                await card.transceive(bytes.fromhex("00a4000c02e103"))
            await card.release()
        await scene.until(lambda: told == ["unfinished: 1 APDUs"] * 2)
        phones.cancel()
        await virtual.stop()

    scene.run(story())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (["--gremlins", "1"], "--gremlins"),
        (["--air-lost", "1.5"], "from 0 to 1"),
        (["--line-late", "nan"], "from 0 to 1"),
        (["--tear-off-at", "soon"], "of 0 or more"),
        (["--tcp", "65536"], "from 0 to 65535"),
    ],
)
def test_the_program_refuses_a_fault_that_it_does_not_have_or_cannot_be(wrong: list[str], named: str) -> None:
    command = [sys.executable, "-m", "sim.nfc", *wrong]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and named in done.stderr and "Traceback" not in done.stderr
