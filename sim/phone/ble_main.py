"""The phone's Bluetooth as a process of its own, attached to the simulated air over HCI:

    python -m sim.phone.ble_main --hci 127.0.0.1:4711 --address E1:00:00:00:00:01 [--mtu 185]

The process takes commands on its input, and writes reports to its output, each as one line with a JSON object.
`sim.phone.ble_process` is the other end. The session's keys stay with the phone, so this process only sees encrypted
messages.
"""

import argparse
import asyncio
import json
import logging
import sys
import uuid
from collections.abc import Sequence
from typing import Any

from bumble.transport.tcp_client import open_tcp_client_transport

from sim.phone.ble import BleHabits, BleJob, PhoneBluetooth


def _report(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


class _Service:
    """Executes the commands, and reports each message of the session when it comes."""

    def __init__(self, phone: PhoneBluetooth) -> None:
        self._phone = phone
        self._listening: asyncio.Task[None] | None = None

    async def handle(self, command: dict[str, Any]) -> None:
        """Execute one command: open, send or close."""
        try:
            if command["do"] == "open":
                key = bytes.fromhex(command["key"])
                await self._phone.open(BleJob(command["mode"], uuid.UUID(command["uuid"]), key))
                self._listening = asyncio.create_task(self._listen())
            elif command["do"] == "send":
                await self._phone.send(bytes.fromhex(command["data"]))
            else:
                await self._close()
        except ConnectionError as error:
            _report(done=command["do"], why=str(error))
            return
        _report(done=command["do"], moved=self._phone.moved, mtu=self._phone.mtu, parts=self._phone.parts)

    async def _listen(self) -> None:
        while (message := await self._phone.receive()) is not None:
            _report(message=message.hex())
        _report(message=None)

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        await self._phone.close()


async def _run(options: argparse.Namespace) -> None:
    logging.getLogger("bumble").setLevel(logging.CRITICAL)  # tests break connections on purpose
    transport = await open_tcp_client_transport(options.hci)
    habits = BleHabits(options.mtu, options.vanish, options.vanishings, not options.any_ident, options.end_first)
    phone = await PhoneBluetooth.attach(transport.source, transport.sink, options.address, habits)
    service = _Service(phone)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _report(done="attach")
    while line := await reader.readline():
        await service.handle(json.loads(line))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process until its input ends."""
    parser = argparse.ArgumentParser(prog="sim.phone.ble_main", description=__doc__)
    parser.add_argument("--hci", required=True, metavar="HOST:PORT", help="where the air serves HCI")
    parser.add_argument("--address", required=True, help="random static address of this phone")
    parser.add_argument("--mtu", type=int, default=517)
    parser.add_argument("--vanish", default="", choices=["", "before-start", "after-start"])
    parser.add_argument("--vanishings", type=int, default=1)
    parser.add_argument("--any-ident", action="store_true", help="accept any reader")
    parser.add_argument("--end-first", action="store_true", help="send State = 02 instead of waiting for a request")
    asyncio.run(_run(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
